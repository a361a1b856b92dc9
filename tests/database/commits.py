"""Commits: something put before every COMMIT that a unit sends, whichever way it goes."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from database import direct_commit


def put_before_commit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> None:
    """By SQLAlchemy, or by the driver itself (`database.direct_commit`). What `act` raises, COMMIT raises."""
    by_sqlalchemy, by_driver = Session.commit, direct_commit.send

    def commit(session: Session) -> None:
        await_only(act())
        by_sqlalchemy(session)

    async def send(connection: Connection) -> None:
        await act()
        await by_driver(connection)

    monkeypatch.setattr(Session, "commit", commit)
    monkeypatch.setattr(direct_commit, "send", send)
