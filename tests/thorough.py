"""What `make test` leaves to `make test-all`: what kills processes, walks documents, or takes long for what it shows.
"""

from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parent
FOLDERS: Final = ("faults", "flows", "examples", "browser", "app/worker", "app/cli")
FILES: Final = (
    "test_documents.py",
    "test_examples.py",
    "test_resource_guide.py",
    "test_testing_guide.py",
    "test_monitoring_guide.py",
    "test_site.py",
    "test_project_files.py",
    "test_operations.py",
)


def mark_thorough(items: list[pytest.Item]) -> None:
    """Give the marker `thorough` to what is named here; single tests have it by themselves."""
    places = tuple(_TESTS / name for name in (*FOLDERS, *FILES))
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker("thorough")
