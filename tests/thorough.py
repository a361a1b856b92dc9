"""What `make test` leaves to `make test-all`: what kills processes, walks documents, or takes long.

Whole folders and files are named here; single tests have the marker by themselves.
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
    "app/api/test_http_cases.py",
    "database/monitor/test_lock_waits.py",
    "database/test_contention.py",
    "database/test_email_key_migration.py",
    "database/test_fork.py",
    "database/test_id_processes.py",
    "repositories/test_outdated_views.py",
    "services/test_csv_property.py",
    "services/test_csv_rewritten.py",
    "services/test_csv_round_trip.py",
    "services/test_embedded_broker.py",
    "testing/test_both_modes.py",
    "testing/test_concurrency.py",
    "testing/test_plugin.py",
    "testing/test_restore.py",
)


def mark_thorough(items: list[pytest.Item]) -> None:
    """Give the marker `thorough` to what is named here; single tests have it by themselves."""
    places = tuple(_TESTS / name for name in (*FOLDERS, *FILES))
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker("thorough")
