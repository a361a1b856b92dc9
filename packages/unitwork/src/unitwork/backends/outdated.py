"""Outdated statements: what was prepared before the schema changed, or before the session was told to forget it.

PostgreSQL refuses such a statement before it runs it, or asyncpg finds the answer unreadable. Either is named here, and
what is kept of statements is forgotten, so that the next try prepares them anew.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.util import await_only

from unitwork.errors import StatementOutdated

_BY_DRIVER: Final = "__asyncpg_"
"""How asyncpg begins the name of each statement it prepares; the message quotes the name, in every language."""
_GONE: Final = ("cache lookup failed for ", "could not open relation with OID ")
"""What PostgreSQL calls an object that was replaced under a plan. It has no SQLSTATE of its own, nor a translation."""


def named(links: Sequence[BaseException]) -> StatementOutdated | None:
    """The error of a driver's error and those it was raised from; None for any other error."""
    exceptions: Any = sys.modules.get("asyncpg.exceptions")  # a driver that isn't imported has raised nothing
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
    """Whether the server had run the statement before the driver found its answer outdated."""
    return isinstance(error, StatementOutdated) and error.sqlstate is None


def forget(context: ExceptionContext) -> None:
    """Have every statement of the engine prepared anew. No round trip."""
    if context.engine is not None:
        context.engine.clear_compiled_cache()  # it keeps how the values of a type that has changed are read
    dialect: Any = context.dialect
    if dialect.driver != "asyncpg":
        return
    dialect._invalidate_schema_cache()  # noqa: SLF001 - the adapter's own way to tell all connections
    connection = context.connection
    if connection is None or connection.closed or connection.invalidated:
        return
    adapter: Any = connection.connection.dbapi_connection
    if adapter is not None:
        if adapter._prepared_statement_cache is not None:  # noqa: SLF001 - it has no public name
            adapter._prepared_statement_cache.clear()  # noqa: SLF001 - SQLAlchemy's adapter has no public word for it
        await_only(adapter.driver_connection.reload_schema_state())


def is_behind(dialect: Any, adapter: Any) -> bool:
    """True when another connection has found something outdated that this one hasn't heard of."""
    told: float = dialect._invalidate_schema_cache_asof  # noqa: SLF001 - as the adapter's cursors ask for it
    return told > adapter._invalidate_schema_cache_asof  # type: ignore[no-any-return]  # noqa: SLF001 - the adapter's cache stamp has no public name; test_outdated_statements pins it


async def catch_up(dialect: Any, adapter: Any) -> None:
    """Have a connection that is behind forget what is outdated, before a statement that is sent past SQLAlchemy."""
    await adapter._check_type_cache_invalidation(dialect._invalidate_schema_cache_asof)  # noqa: SLF001 - the adapter's cache stamp has no public name; test_outdated_statements pins it
