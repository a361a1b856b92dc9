"""The test kit, a pytest plugin: `-p database.testing`, or `pytest_plugins = ["database.testing"]` in a root conftest.

A test runs on a real database, isolated: in one transaction that is never committed, while the code under test begins,
commits and nests its own as ever. What that can't show raises `NeedsOwnDatabase`; `@pytest.mark.database("own")` gives
the test a database with real commits. Fakes that need no database are in `repositories.testing`.
"""

from database.testing.errors import CallNeedsBlock, NeedsOwnDatabase
from database.testing.isolated_container import isolated
from database.testing.leaks import no_leaks
from database.testing.postgresql_server import postgresql_server
from database.testing.queries import assert_queries

pytest_plugins = ["database.testing.plugin", "database.testing.fixtures"]

__all__ = [
    "CallNeedsBlock",
    "NeedsOwnDatabase",
    "assert_queries",
    "isolated",
    "no_leaks",
    "postgresql_server",
]
