"""The test kit, a pytest plugin that pytest loads by its entry point. It does nothing until the host configures how its
database is opened: `unitwork_database = "shop.opening:open_database"` among pytest's options.

A test runs on a real database, isolated in one transaction that is never committed; the code under test begins, commits
and nests transactions as usual. Anything this can't reproduce raises `NeedsOwnDatabase`; `@pytest.mark.database("own")`
gives the test a database with real commits. Fakes without a database are in `unitwork.testing.fakes`.
"""

from importlib.util import find_spec

from unitwork.testing.beside_session import BesideSession
from unitwork.testing.errors import CallNeedsBlock, NeedsOwnDatabase
from unitwork.testing.isolated_options import IsolatedOptions
from unitwork.testing.isolation.outer_transaction import OuterTransaction
from unitwork.testing.isolation.session_provider import IsolatedSessionProvider
from unitwork.testing.leaks import assert_none_in_use, no_leaks
from unitwork.testing.queries import Queries, assert_queries
from unitwork.testing.servers.mariadb_server import MARIADB_URL
from unitwork.testing.servers.postgresql import POSTGRESQL_URL
from unitwork.testing.servers.postgresql_server import postgresql_server

pytest_plugins = ["unitwork.testing.plugin"]
if find_spec("pytest_asyncio") is not None:  # without the extra `testing`, pytest runs without the fixtures
    pytest_plugins.append("unitwork.testing.fixtures")

__all__ = [
    "MARIADB_URL",
    "POSTGRESQL_URL",
    "BesideSession",
    "CallNeedsBlock",
    "IsolatedOptions",
    "IsolatedSessionProvider",
    "NeedsOwnDatabase",
    "OuterTransaction",
    "Queries",
    "assert_none_in_use",
    "assert_queries",
    "no_leaks",
    "postgresql_server",
]
