"""A connection that breaks while it is being set up, or in a way the driver has no name for, is a named error too."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy import Connection, event, make_url, select, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.util import await_only, greenlet_spawn

from containers import Container, running
from settings import Settings
from tests.faults.relay import Moment, Relay
from unitwork.errors import ConnectionLost, DatabaseUnavailable

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

ASKS_VERSION = b"pg_catalog.version()"


async def test_a_connection_that_breaks_while_it_is_set_up_could_not_be_made(database_url: str) -> None:
    url = make_url(database_url)
    with Relay(url.host or "127.0.0.1", url.port or 5432) as relay:
        relayed = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
        async with running(Container(settings=Settings(database={"url": relayed}))) as container:
            relay.cut_at(ASKS_VERSION, Moment.BEFORE)
            with pytest.raises(DatabaseUnavailable, match=str(relay.port)):
                async with container.session_provider()() as session:
                    await session.execute(text("SELECT 1"))
            assert relay.cuts == 1
            assert container.schema().connections_in_use == 0
            async with container.session_provider()() as session:
                assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
async def test_a_connection_that_is_dead_as_soon_as_it_is_made_could_not_be_made(
    settings: Settings, *, first: bool
) -> None:
    """Before or after SQLAlchemy has set it up."""
    async with running(Container(settings=settings)) as container:

        @event.listens_for(container.engine().sync_engine, "connect", insert=first)
        def die(connection: object, record: object) -> None:
            connection.driver_connection.terminate()  # type: ignore[attr-defined]

        with pytest.raises(DatabaseUnavailable):
            async with container.session_provider()() as session:
                await session.execute(text("SELECT 1"))
        assert container.schema().connections_in_use == 0


@pytest.mark.parametrize(
    "broken",
    [
        lambda: ConnectionResetError(104, "Connection reset by peer"),
        lambda: asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    ],
    ids=["socket", "protocol"],
)
async def test_a_driver_that_breaks_without_a_name_for_it_has_lost_its_connection(
    container: Container, broken: Callable[[], Exception]
) -> None:
    async def breaking() -> None:
        async with container.transaction()() as tx:
            await _break_next_statement(tx.session, broken())
            await tx.session.execute(text("SELECT 1"))

    with pytest.raises(ConnectionLost):
        await breaking()
    assert container.schema().connections_in_use == 0
    async with container.session_provider()() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def _break_next_statement(session: object, error: Exception) -> None:
    """The driver's own call raises."""
    connection = await session.connection()  # type: ignore[attr-defined]
    driver = (await connection.get_raw_connection()).driver_connection

    async def prepare(*arguments: object, **options: object) -> None:
        driver.terminate()
        raise error

    driver.prepare = prepare


async def test_connections_opened_with_the_first_one_wait_for_what_sqlalchemy_learns_over_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the server what it is once for all pools of an engine, and lets other pools' connections pass meanwhile,
    which then know nothing.
    """
    learn = PGDialect.initialize

    def slowly(dialect: PGDialect, connection: Connection) -> None:
        await_only(asyncio.sleep(0.2))
        learn(dialect, connection)  # type: ignore[no-untyped-call]  # SQLAlchemy's

    monkeypatch.setattr(PGDialect, "initialize", slowly)
    async with running(Container(settings=settings)) as container:

        async def ask() -> int:
            async with container.outbox_dao()._reading() as session:
                return int(await session.scalar(select(1)) or 0)

        beside = container.engine().sync_engine.pool.recreate()  # for what must not wait for the pool's own
        first = asyncio.create_task(greenlet_spawn(beside.connect))
        await asyncio.sleep(0.1)
        assert await asyncio.gather(*(ask() for _ in range(3))) == [1, 1, 1]
        await greenlet_spawn((await first).invalidate)
