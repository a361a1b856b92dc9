"""Commits: something put before every COMMIT that is sent, whichever way it goes."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy import Connection
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.util import await_only

from unitwork.transactions import direct_commit

ADAPTERS: Final[tuple[Any, ...]] = (AsyncAdapt_dbapi_connection, AsyncAdapt_asyncpg_connection)
"""Where SQLAlchemy hands its COMMIT to a driver."""


def put_before_commit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> None:
    """By SQLAlchemy, or by the driver itself (`unitwork.transactions.direct_commit`). What `act`
    raises, COMMIT raises.
    """
    for adapter in ADAPTERS:
        monkeypatch.setattr(adapter, "commit", _after(act, adapter.commit))
    by_driver = direct_commit.send

    async def send(connection: Connection) -> None:
        await act()
        await by_driver(connection)

    monkeypatch.setattr(direct_commit, "send", send)


def _after(act: Callable[[], Awaitable[None]], by_sqlalchemy: Callable[[Any], None]) -> Callable[[Any], None]:
    def commit(connection: Any) -> None:
        await_only(act())
        by_sqlalchemy(connection)

    return commit
