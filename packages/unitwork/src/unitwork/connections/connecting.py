"""Opening connections: what can't be reached gets its name here."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import anyio
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.backends.address import in_force
from unitwork.backends.registry import backend_of
from unitwork.backends.unreachable import cause
from unitwork.errors import DatabaseUnavailable, DriverError

GRACE: Final = 0.1
"""Seconds that opening a connection may go on when nobody wants it any more."""


def name_connect_failures(engine: AsyncEngine) -> None:
    """Have a connection that can't be made raise `DatabaseUnavailable`, whatever the driver raises."""
    listening = engine.sync_engine
    unwanted: set[asyncio.Task[Any]] = set()

    # Last of the listeners, as it makes the connection; drivers raise OSError and errors of their own here,
    # most of which SQLAlchemy passes on untranslated.
    @event.listens_for(listening, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        options = backend_of(dialect).before_connecting(arguments, options)
        connecting = greenlet_spawn(dialect.loaded_dbapi.connect, *arguments, **options)
        try:
            return await_only(_or_not_at_all(connecting, unwanted))
        except (OSError, TimeoutError, dialect.loaded_dbapi.Error) as error:
            target = in_force(listening)
            mode = options.get("ssl", "dsn" in options or None)
            raise unavailable(error, target, tls_demanded=mode not in {None, "disable", "allow", "prefer"}) from None


async def _or_not_at_all(connecting: Coroutine[Any, Any, Any], unwanted: "set[asyncio.Task[Any]]") -> Any:
    """The connection. A cancellation waits `GRACE` for it; after that it goes on, bounded by the driver's own timeout,
    among the `unwanted`, and is closed when it stands: drivers that are cancelled half-way leave futures or threads
    behind.
    """
    task = asyncio.get_running_loop().create_task(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        unwanted.add(task)
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await asyncio.wait((task,), timeout=GRACE)
        task.add_done_callback(partial(_close_unwanted, unwanted))
        raise cancelled  # noqa: TRY201 - a later one must not take its place


def _close_unwanted(unwanted: "set[asyncio.Task[Any]]", task: "asyncio.Task[Any]") -> None:
    unwanted.discard(task)
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def set_up_errors(dbapi: Any) -> tuple[type[BaseException], ...]:
    """What comes when a connection breaks while it is being set up: our own errors, SQLAlchemy's, its driver module's,
    and asyncpg's as they are. InvalidRequestError: the new connection was dead at once, twice.
    """
    errors: tuple[type[BaseException], ...] = (DriverError, OSError, dbapi.Error, DBAPIError, InvalidRequestError)
    driver = getattr(dbapi, "asyncpg", None)
    return (
        errors if driver is None else (*errors, driver.PostgresError, driver.InterfaceError, driver.InternalClientError)
    )


def unavailable(error: BaseException, target: str, *, tls_demanded: bool = True) -> DatabaseUnavailable:
    """What a connection that was not to be had is called."""
    reason, fix = cause(error, tls_demanded=tls_demanded)
    return DatabaseUnavailable(reason, target, fix)
