"""What SQLAlchemy has sent once the driver sends itself, lone statements and new rows, and only the time tells."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, literal, select, text

from containers import Container, running
from domain import User, UserStatus
from settings import Settings
from tests.repositories.accounts import store_named
from tests.repositories.shelves import Genre, Keepsake, ShelfBase
from unitwork.connections.pool import Pool
from unitwork.dao import BaseDao
from unitwork.errors import StaleVersion, UniqueViolation
from unitwork.models import acting_as
from unitwork.monitor.shape import Shape

pytestmark = [
    pytest.mark.parametrize("backend", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("acting"),
    pytest.mark.database("own"),
]


@pytest.fixture
async def container(database_url: str) -> AsyncIterator[Container]:
    settings = Settings(database={"url": database_url, "pool_size": 2, "max_overflow": 0}, node_id=1)
    async with running(Container(settings=settings)) as container:
        yield container
        assert container.schema().connections_in_use == 0


@pytest.fixture
async def compiled(container: Container, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What SQLAlchemy has executed. Not by an event: a listener to one is what sends statements back its way."""
    sent: list[str] = []
    dialect = container.session_factory().engine().sync_engine.dialect
    execute = dialect.do_execute

    def note(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        sent.append(statement.partition(" ")[0])
        execute(cursor, statement, parameters, context)

    monkeypatch.setattr(dialect, "do_execute", note)
    return sent


@pytest.fixture
async def keepsakes(container: Container) -> BaseDao[Keepsake]:
    """Of a model without an audit trail: its changes are single statements."""
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
        await connection.execute(text("CREATE UNIQUE INDEX uq_keepsakes_words ON keepsakes (words)"))
    return BaseDao(container.session_provider(), Keepsake)


async def test_each_shape_is_compiled_once(container: Container, compiled: list[str]) -> None:
    ann, ben = await store_named(container, "Ann", "Ben")
    users = container.user_dao()

    async def all_of_them() -> None:
        assert (await users.get(ann.id)).display_name == "Ann"
        assert (await users.get(ben.id)).display_name == "Ben"
        assert [user.id for user in await users.query().order_by("-display_name").all()] == [ben.id, ann.id]
        assert await users.query().eq("display_name", "Ben").scalars("id") == [ben.id]
        assert await users.query().in_("id", [ann.id, 1]).scalars(User.status) == [UserStatus.ACTIVE]
        assert await users.query().eq("id", ann.id).exists()
        assert not await users.query().eq("id", 1).exists()
        assert await users.count().rows() == 2

    await all_of_them()
    compiled.clear()
    await all_of_them()
    assert compiled == []


async def test_the_monitor_counts_each(container: Container, compiled: list[str]) -> None:
    [ann] = await store_named(container, "Ann")
    users, monitor = container.user_dao(), container.sql_monitor()

    def reads() -> Shape:
        return next(shape for shape in monitor.shapes if shape.fingerprint.text.startswith("SELECT users.id"))

    await users.get(ann.id)
    before = reads().count, reads().rows
    compiled.clear()
    for _ in range(3):
        await users.get(ann.id)
    await users.get_or_none(1)
    assert compiled == []
    assert (reads().count, reads().rows) == (before[0] + 4, before[1] + 3)
    assert "test_direct_statements.py" in str(reads().call_site)
    assert not monitor.open
    assert not monitor.errors


async def test_who_listens_hears_every_statement(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    heard: list[object] = []
    await users.get(ann.id)

    def hear(*of: object) -> None:
        heard.append(of)

    for name in ("before_cursor_execute", "before_execute", "after_execute"):
        event.listen(container.engine().sync_engine, name, hear)
        await users.get(ann.id)
        assert len(heard) == 1, name
        event.remove(container.engine().sync_engine, name, hear)
        await users.get(ann.id)
        assert len(heard) == 1, name
        heard.clear()


async def test_writes_stamp_anew_each_time(keepsakes: BaseDao[Keepsake], compiled: list[str]) -> None:
    moments = []
    kept = await keepsakes.add(Keepsake(words="a", genre=Genre.FICTION))
    for number, words in enumerate(("b", "c", "d"), 2):
        with acting_as(number):
            [changed] = await keepsakes.update().eq("id", kept.id).set(words=words, genre=Genre.POETRY).returning()
        assert (changed.words, changed.genre) == (words, Genre.POETRY)
        assert (changed.version, changed.updated_by) == (number, number)
        moments.append(changed.updated_at)
    assert moments == sorted(set(moments))
    compiled.clear()
    assert await keepsakes.update().eq("id", kept.id).set(words="e", genre=None).returning()
    assert compiled == []
    for _ in range(2):
        with pytest.raises(StaleVersion):
            await keepsakes.update().eq("id", kept.id).eq("version", 1).set(words="f").execute()
        assert await keepsakes.delete().eq("id", 1).execute() == 0


async def test_statements_that_differ_in_a_constant_are_told_apart(container: Container) -> None:
    """SQLAlchemy compiles one for both, and gives each its constant when it is executed."""
    await store_named(container, "Ann")
    provider = container.session_provider()
    five, six = (select(literal(constant)).where(User.version == 1) for constant in (5, 6))
    for _ in range(3):
        assert (await provider.send_autocommit(five, {})).rows[0][0] == 5
        assert (await provider.send_autocommit(six, {})).rows[0][0] == 6


async def test_errors_have_the_names_that_sqlalchemy_gives_them(
    container: Container, keepsakes: BaseDao[Keepsake], compiled: list[str]
) -> None:
    kept = [await keepsakes.add(Keepsake(words=words)) for words in "ab"]
    rename = keepsakes.update().eq("id", kept[1].id)
    found = []
    for _ in range(3):
        with pytest.raises(UniqueViolation) as caught:
            await rename.set(words="a").execute()
        found.append((caught.value.constraint, str(caught.value), type(caught.value.__cause__)))
        await rename.set(words="c").execute()  # in the course of which a plan is made
    assert found == found[:1] * 3
    assert compiled.count("UPDATE") == 2
    assert container.sql_monitor().shapes.kinds["UPDATE keepsakes"].failed == 3
    assert (await keepsakes.get(kept[1].id)).words == "c"


async def test_values_that_their_type_refuses_are_refused_as_ever(keepsakes: BaseDao[Keepsake]) -> None:
    kept = await keepsakes.add(Keepsake(words="a"))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    rows = keepsakes.update().eq("id", kept.id)
    await rows.set(moment=moment).execute()  # from now on the driver's
    with pytest.raises(ValueError, match="a naive datetime names no moment"):
        await rows.set(moment=moment.replace(tzinfo=None)).execute()
    assert (await keepsakes.get(kept.id)).moment == moment


async def test_a_table_that_changes_meanwhile_is_read_all_the_same(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    await users.get(ann.id)
    await users.get(ann.id)
    async with container.engine().begin() as connection:
        await connection.execute(text("ALTER TABLE users ALTER COLUMN display_name TYPE text"))
    assert (await users.get(ann.id)).display_name == "Ann"
    assert (await users.get(ann.id)).display_name == "Ann"


async def test_behind_a_transaction_pooler_sqlalchemy_sends_everything(database_url: str) -> None:
    settings = Settings(database={"url": database_url, "pooler": "pgbouncer"}, node_id=1)
    async with running(Container(settings=settings)) as container:
        [ann] = await store_named(container, "Ann")
        factory = container.session_factory()
        plans = factory.plans(factory.engine())
        for _ in range(2):
            assert (await container.user_dao().get(ann.id)).display_name == "Ann"
        assert not any(plans._plans.values())


async def test_connections_above_the_pools_size_are_closed(database_url: str) -> None:
    database = {"url": database_url, "pool_size": 1, "max_overflow": 3, "pool_idle_timeout": 0}
    settings = Settings.model_validate({"database": database, "node_id": 1})
    async with running(Container(settings=settings)) as container:
        await store_named(container, "Ann")
        users, pool = container.user_dao(), container.engine().pool
        assert isinstance(pool, Pool)
        for _ in range(2):
            assert set(await asyncio.gather(*(users.count().rows() for _ in range(8)))) == {1}
        assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (1, 0, 0)


async def test_a_read_that_is_thrown_away_half_way_drops_its_connection(database_url: str) -> None:
    settings = Settings(database={"url": database_url, "pool_size": 1, "max_overflow": 0}, node_id=1)
    async with running(Container(settings=settings)) as container:
        await store_named(container, "Ann")
        users = container.user_dao()
        for _ in range(2):
            await users.count().rows()
        thrown_away = users.count().rows()
        thrown_away.send(None)
        thrown_away.close()
        assert await users.count().rows() == 1
        assert container.schema().connections_in_use == 0
