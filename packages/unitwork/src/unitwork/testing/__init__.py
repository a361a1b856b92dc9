"""The test kit, a pytest plugin: `-p app.testing`, or `pytest_plugins = ["app.testing"]` in a root conftest.

A test runs on a real database, isolated: in one transaction that is never committed, while the code under test begins,
commits and nests its own as ever. What that can't show raises `NeedsOwnDatabase`; `@pytest.mark.database("own")` gives
the test a database with real commits. Fakes that need no database are in `unitwork.testing.fakes`.
"""

from app.testing.isolated import isolated
from unitwork.testing.errors import CallNeedsBlock, NeedsOwnDatabase
from unitwork.testing.leaks import no_leaks
from unitwork.testing.queries import assert_queries
from unitwork.testing.servers.postgresql_server import postgresql_server

pytest_plugins = ["unitwork.testing.plugin", "unitwork.testing.fixtures"]

__all__ = [
    "CallNeedsBlock",
    "NeedsOwnDatabase",
    "assert_queries",
    "isolated",
    "no_leaks",
    "postgresql_server",
]
