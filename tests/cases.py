"""What the files of cases under `tests/data` hold, line by line. Tests take their lines from here, so that a new line
of a file is a new test, or a failing one.
"""

import json
from typing import Any, Final

from tests.conftest import ROOT

DATA: Final = ROOT / "tests" / "data"


def lines(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


HTTP: Final[tuple[str, ...]] = tuple(line["request"] for line in lines("http.json"))
URLS: Final[tuple[str, ...]] = tuple(line["url"] for line in lines("urls.json"))

CONTACTS: Final[tuple[dict[str, Any], ...]] = (*lines("contacts/phones.json"), *lines("contacts/emails.json"))
FILES: Final[dict[str, dict[str, Any]]] = lines("import/expected.json")
