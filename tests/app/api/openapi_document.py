"""The OpenAPI document as it is kept beside the tests, so that a change of it is seen.

Renew it with: .venv/bin/python -m tests.app.api.openapi_document > tests/app/api/openapi.json
"""

import json
from pathlib import Path
from typing import Any, Final

from app.api import create_app

KEPT: Final = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """As the application gives it."""
    return create_app().openapi()


def written(document: dict[str, Any]) -> str:
    """As it is kept."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(written(document()), end="")
