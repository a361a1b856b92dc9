"""COMMIT is the driver's own, unless somebody is to hear of it or SQLAlchemy has more to do; nobody sees it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from containers import Container, running
from settings import Settings
from tests.database.tables import create_tables, notes, replies, stored, write
from unitwork import Outcome, Propagation
from unitwork.errors import ConnectionLost, UniqueViolation

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture
def by_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each COMMIT that went SQLAlchemy's way."""
    seen: list[str] = []
    commit = Session.commit

    def note(session: Session) -> None:
        seen.append("commit")
        commit(session)

    monkeypatch.setattr(Session, "commit", note)
    return seen


async def one(container: Container, word: str) -> None:
    async with container.transaction()() as tx:
        await write(tx.session, word)


async def test_the_driver_sends_it_and_the_connection_is_as_new(
    with_tables: Container, by_sqlalchemy: list[str]
) -> None:
    for number in range(3):
        async with with_tables.transaction()() as tx:
            await write(tx.session, f"{number}")
            connection = await tx.session.connection()
        assert tx.outcome is Outcome.COMMITTED
        assert connection.closed
    async with with_tables.session_provider()() as session:
        await write(session, "a session's")
    assert by_sqlalchemy == []
    assert with_tables.schema().connections_in_use == 0
    assert await stored(with_tables) == {"0", "1", "2", "a session's"}


async def test_one_at_serializable_leaves_the_next_at_the_default(
    with_tables: Container, by_sqlalchemy: list[str]
) -> None:
    levels = []
    for isolation in ("SERIALIZABLE", None):
        async with with_tables.transaction()(isolation=isolation) as tx:
            connection = await tx.session.connection()
            levels.append((await connection.exec_driver_sql("SHOW transaction_isolation")).scalar_one())
    assert levels == ["serializable", "read committed"]
    assert by_sqlalchemy == []


async def test_what_the_database_refuses_then_is_raised_by_sqlalchemy(
    with_tables: Container, by_sqlalchemy: list[str]
) -> None:
    async with with_tables.engine().begin() as connection:
        await connection.exec_driver_sql(
            "ALTER TABLE notes ADD CONSTRAINT uq_late UNIQUE (text) DEFERRABLE INITIALLY DEFERRED"
        )
        await connection.exec_driver_sql("ALTER TABLE notes DROP CONSTRAINT notes_text_key")
    await one(with_tables, "twice")
    with pytest.raises(UniqueViolation) as caught:
        await one(with_tables, "twice")
    assert caught.value.constraint == "uq_late"
    assert caught.value.__cause__ is not None
    assert by_sqlalchemy == ["commit"]
    await one(with_tables, "once more")
    assert await stored(with_tables) == {"twice", "once more"}


async def test_a_connection_that_is_closed_before_it_is_lost_and_not_unknown(
    with_tables: Container, by_sqlalchemy: list[str]
) -> None:
    with pytest.raises(ConnectionLost):
        async with with_tables.transaction()() as tx:
            await write(tx.session, "lost")
            raw: Any = await (await tx.session.connection()).get_raw_connection()
            raw.driver_connection.terminate()
    assert tx.outcome is Outcome.ROLLED_BACK
    assert by_sqlalchemy == []
    assert await stored(with_tables) == set()


@contextmanager
def listening(target: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    event.listen(target, name, function)
    try:
        yield
    finally:
        event.remove(target, name, function)


@pytest.mark.parametrize("name", ["before_commit", "after_commit"])
async def test_a_session_listener_is_told_inside_the_greenlet(
    with_tables: Container, by_sqlalchemy: list[str], name: str
) -> None:
    seen: list[int] = []

    def ask(session: Session) -> None:
        if name == "before_commit":
            session.execute(notes.insert().values(text="from the listener"))
        seen.append(await_only(_seven()))

    with listening(Session, name, ask):
        await one(with_tables, "kept")
    assert seen == [7]
    assert by_sqlalchemy == ["commit"]


async def _seven() -> int:
    return 7


async def test_who_listens_to_the_engine_or_has_it_logged_hears_of_it(
    with_tables: Container, by_sqlalchemy: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    engine = with_tables.session_factory().engine().sync_engine
    seen: list[str] = []
    with listening(engine, "commit", lambda _connection: seen.append("told")):
        await one(with_tables, "kept")
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"):
        await one(with_tables, "kept too")
    assert seen == ["told"]
    assert "COMMIT" in caplog.messages
    assert by_sqlalchemy == ["commit", "commit"]


@pytest.mark.parametrize("name", ["checkin", "reset"])
async def test_who_listens_to_the_pool_may_wait_for_the_database(with_tables: Container, name: str) -> None:
    """Inside SQLAlchemy's greenlet; a lone statement's connection too."""
    engine = with_tables.session_factory().engine()
    seen: list[str] = []

    def ask(connection: Any, *_: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
        connection.rollback()
        seen.append("told")

    for _ in range(2):  # the second is sent by the driver
        assert await with_tables.user_dao().get_or_none(1) is None
    with listening(engine.sync_engine, name, ask):
        await one(with_tables, "kept")
        told = len(seen)
        assert await with_tables.user_dao().get_or_none(1) is None
    assert told >= 1
    assert len(seen) > told
    assert await stored(with_tables) == {"kept"}


async def test_who_listens_to_the_connection_hears_of_it(with_tables: Container, by_sqlalchemy: list[str]) -> None:
    seen: list[str] = []
    async with with_tables.transaction()() as tx:
        connection = await tx.session.connection()
        event.listen(connection.sync_connection, "commit", lambda _connection: seen.append("told"))
        await write(tx.session, "kept")
    assert (seen, by_sqlalchemy) == (["told"], ["commit"])


async def test_a_connection_the_pool_has_no_place_for_is_closed(settings: Settings, by_sqlalchemy: list[str]) -> None:
    database = settings.database.model_copy(update={"pool_idle_timeout": 0.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        await create_tables(container)
        pool: Any = container.engine().pool
        transaction = container.transaction()
        async with transaction() as outer:
            await write(outer.session, "outer")
            held = [await container.engine().connect() for _ in range(pool.size() - 1)]
            one_more = container.engine().connect()
            await one_more.start()
            async with transaction(Propagation.REQUIRES_NEW) as inner:
                await write(inner.session, "inner")
            for connection in (*held, one_more):
                await connection.close()
        assert by_sqlalchemy == []
        assert await stored(container) == {"outer", "inner"}
        assert pool.checkedin() <= pool.size()


async def test_a_savepoint_left_open_is_sqlalchemys(with_tables: Container, by_sqlalchemy: list[str]) -> None:
    async with with_tables.transaction()() as tx:
        await write(tx.session, "before")
        await tx.session.begin_nested()
        await write(tx.session, "inside")
    assert by_sqlalchemy == ["commit"]
    assert await stored(with_tables) == {"before", "inside"}


async def test_a_second_connection_of_the_session_is_committed_too(
    with_tables: Container, by_sqlalchemy: list[str]
) -> None:
    async with with_tables.transaction()() as tx:
        await write(tx.session, "first")
        other = with_tables.session_factory().engine().execution_options(other=True).sync_engine
        second = await tx.session.connection(bind_arguments={"bind": other})
        await second.execute(notes.insert().values(text="second"))
    assert by_sqlalchemy == ["commit"]
    assert await stored(with_tables) == {"first", "second"}


async def test_a_session_that_expires_at_commit_does(with_tables: Container, by_sqlalchemy: list[str]) -> None:
    async with with_tables.transaction()() as tx:
        session: AsyncSession = tx.session
        session.sync_session.expire_on_commit = True
        await session.execute(notes.insert().values(id=1, text="kept"))
        await session.execute(replies.insert().values(note=1))
    assert by_sqlalchemy == ["commit"]
