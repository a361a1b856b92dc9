"""Opening connections: turns failures to connect into `DatabaseUnavailable`."""

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

CANCELLED_CONNECT_GRACE_SECONDS: Final = 0.1
"""Seconds that a cancelled task waits for the connection it was opening."""


def name_connect_failures(engine: AsyncEngine) -> None:
    """Make a connection that can't be opened raise `DatabaseUnavailable`, whatever the driver raises."""
    listening = engine.sync_engine
    unwanted: set[asyncio.Task[Any]] = set()

    # Must be the last listener, as it makes the connection. Drivers raise OSError and errors of their own here, most of
    # which SQLAlchemy passes on untranslated.
    @event.listens_for(listening, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        options = backend_of(dialect).before_connecting(arguments, options)
        connecting = greenlet_spawn(dialect.loaded_dbapi.connect, *arguments, **options)
        try:
            return await_only(_connect_cancellably(connecting, unwanted))
        except (OSError, TimeoutError, dialect.loaded_dbapi.Error) as error:
            target = in_force(listening)
            mode = options.get("ssl", "dsn" in options or None)
            raise unavailable(error, target, tls_demanded=mode not in {None, "disable", "allow", "prefer"}) from None


async def _connect_cancellably(connecting: Coroutine[Any, Any, Any], unwanted: "set[asyncio.Task[Any]]") -> Any:
    """Return the connection, opened in a task of its own.

    A cancellation waits `CANCELLED_CONNECT_GRACE_SECONDS` for it. After that the task continues among the `unwanted`,
    bounded by the driver's own timeout, and its connection is closed when ready: cancelling a driver half-way would
    leak futures or threads.
    """
    task = asyncio.get_running_loop().create_task(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        unwanted.add(task)
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await asyncio.wait((task,), timeout=CANCELLED_CONNECT_GRACE_SECONDS)
        task.add_done_callback(partial(_close_unwanted, unwanted))
        raise cancelled  # noqa: TRY201 - the first cancellation is the one to raise


def _close_unwanted(unwanted: "set[asyncio.Task[Any]]", task: "asyncio.Task[Any]") -> None:
    unwanted.discard(task)
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def set_up_errors(dbapi: Any) -> tuple[type[BaseException], ...]:
    """Return the error types a connection may raise while it is being set up: our own, SQLAlchemy's, the DBAPI
    module's, and asyncpg's untranslated ones.

    InvalidRequestError: the new connection was dead at once, twice.
    """
    errors: tuple[type[BaseException], ...] = (DriverError, OSError, dbapi.Error, DBAPIError, InvalidRequestError)
    driver = getattr(dbapi, "asyncpg", None)
    return (
        errors if driver is None else (*errors, driver.PostgresError, driver.InterfaceError, driver.InternalClientError)
    )


def unavailable(error: BaseException, target: str, *, tls_demanded: bool = True) -> DatabaseUnavailable:
    """Return the error for a connection that couldn't be opened."""
    reason, fix = cause(error, tls_demanded=tls_demanded)
    return DatabaseUnavailable(reason, target, fix)
