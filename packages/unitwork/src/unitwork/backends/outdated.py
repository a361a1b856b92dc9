"""Outdated statements: prepared before the schema changed, or before the session dropped its prepared statements.

PostgreSQL refuses such a statement before it runs, or asyncpg can't decode the answer. Both become `StatementOutdated`,
and the caches of prepared statements are cleared, so that the next attempt prepares them again.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.util import await_only

from unitwork.errors import StatementOutdated

_BY_DRIVER: Final = "__asyncpg_"
"""Prefix of the names of asyncpg's prepared statements, quoted in PostgreSQL's messages in every language."""
_GONE: Final = ("cache lookup failed for ", "could not open relation with OID ")
"""Messages of PostgreSQL about an object that was replaced under a plan. They have no SQLSTATE of their own and aren't
translated.
"""


def named(links: Sequence[BaseException]) -> StatementOutdated | None:
    """Return the `StatementOutdated` for a driver's error and its causes; None for any other error."""
    exceptions: Any = sys.modules.get("asyncpg.exceptions")  # a driver that isn't imported raised nothing
    if exceptions is None:
        return None
    for link in links:
        if isinstance(link, exceptions.InvalidCachedStatementError):
            return StatementOutdated("the schema was changed under a prepared statement", sqlstate=link.sqlstate)
        if isinstance(link, exceptions.OutdatedSchemaCacheError):
            return StatementOutdated("a type was changed under a prepared statement")
        if isinstance(link, exceptions.InvalidSQLStatementNameError) and _BY_DRIVER in str(link):
            return StatementOutdated("the session has dropped a prepared statement", sqlstate=link.sqlstate)
        if isinstance(link, exceptions.InternalServerError) and str(link).startswith(_GONE):
            return StatementOutdated("what a prepared statement refers to was replaced", sqlstate=link.sqlstate)
    return None


def had_run(error: BaseException | None) -> bool:
    """True if the server had run the statement before the driver found its answer outdated."""
    return isinstance(error, StatementOutdated) and error.sqlstate is None


def forget(context: ExceptionContext) -> None:
    """Clear all caches of compiled and prepared statements of the engine. No round trip."""
    if context.engine is not None:
        context.engine.clear_compiled_cache()  # it caches the result processors of the changed type
    dialect: Any = context.dialect
    if dialect.driver != "asyncpg":
        return
    dialect._invalidate_schema_cache()  # noqa: SLF001 - the adapter's own way to reach all connections
    connection = context.connection
    if connection is None or connection.closed or connection.invalidated:
        return
    adapter: Any = connection.connection.dbapi_connection
    if adapter is not None:
        if adapter._prepared_statement_cache is not None:  # noqa: SLF001 - it has no public name
            adapter._prepared_statement_cache.clear()  # noqa: SLF001 - SQLAlchemy's adapter has no public name for it
        await_only(adapter.driver_connection.reload_schema_state())


def is_behind(dialect: Any, adapter: Any) -> bool:
    """True if another connection has found a statement outdated since this one last cleared its cache."""
    invalidated: float = dialect._invalidate_schema_cache_asof  # noqa: SLF001 - as in the adapter's cursors
    return invalidated > adapter._invalidate_schema_cache_asof  # type: ignore[no-any-return]  # noqa: SLF001 - the adapter's cache stamp has no public name; test_outdated_statements pins it


async def catch_up(dialect: Any, adapter: Any) -> None:
    """Clear the caches of a connection that is behind, before a statement is sent without SQLAlchemy."""
    await adapter._check_type_cache_invalidation(dialect._invalidate_schema_cache_asof)  # noqa: SLF001 - the adapter's cache stamp has no public name; test_outdated_statements pins it
