"""The PostgreSQL server of a test run: administration through its maintenance database."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pkgutil import resolve_name
from typing import Any, Final, TypeVar

from sqlalchemy import make_url

T = TypeVar("T")
POSTGRESQL_URL: Final = "UNITWORK_TEST_POSTGRESQL_URL"
"""The environment variable with the server's URL; if it is unset, the plugin starts a server and sets it."""


def apart(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `work` in an event loop of its own, in another thread, and return its result."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


async def connect(url: str) -> Any:
    """Return an asyncpg connection; asyncpg is an optional dependency."""
    return await resolve_name("asyncpg:connect")(url)


def on_server(call: Callable[[Any], Awaitable[T]]) -> T:
    """Call a function with an asyncpg connection to the maintenance database."""

    async def connected() -> T:
        url = make_url(os.environ[POSTGRESQL_URL]).set(drivername="postgresql")
        connection = await connect(url.render_as_string(hide_password=False))
        try:
            return await call(connection)
        finally:
            await connection.close()

    return apart(connected)


def url_of(database: str) -> str:
    """Return the URL of a database of the server."""
    return make_url(os.environ[POSTGRESQL_URL]).set(database=database).render_as_string(hide_password=False)


def drop(*names: str) -> None:
    """Drop databases, including those with open connections."""

    async def each(connection: Any) -> None:
        for name in names:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    on_server(each)


def databases_of(prefix: str) -> list[str]:
    """Return the names of the databases with this prefix."""
    rows = on_server(
        lambda connection: connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix)
    )
    return [row[0] for row in rows]
