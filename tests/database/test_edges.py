"""Edges: streams that are left, engines that change, ends that hide, connections that were lost before the COMMIT."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from containers import Container, running
from domain import User
from settings import Settings
from tests.database.tables import create_tables, notes, stored, write
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.backends.asyncpg_connections import StrictCommitConnection
from unitwork.errors import (
    ConnectionLost,
    EngineBelongsToAnotherLoop,
    NoActiveTransaction,
    PoolDeadlock,
    ReadOnlyTransaction,
    SessionBelongsToAnotherTask,
    TransactionIsOurs,
    TransactionRolledBack,
)
from unitwork.ids.leased_ids import LEASE_OPTION
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases


async def test_a_streams_loop_may_write_and_a_stream_that_is_left_leaves_nothing_ambient(container: Container) -> None:
    users = container.user_dao()
    with acting_as(SYSTEM):
        await users.add_many([User.create({"email": f"user{n}@example.com"}) for n in range(3)])
        async for user in users.query().stream(chunk=1):
            await users.update().eq("id", user.id).set(display_name="seen").execute()
        left = users.query().stream(chunk=1)
        await anext(left)
        await users.add(User.create({"email": "after@example.com"}))
        first, second = users.query().stream(), users.query().stream()
        await anext(first)
        await anext(second)
        await first.aclose()
        assert len([user async for user in second]) == 3
        await second.aclose()
        await left.aclose()
    assert await users.count().eq("display_name", "seen").rows() == 3


@pytest.mark.parametrize(
    "statement", ["-- done\nCOMMIT", "/* x */ COMMIT", ";COMMIT", "  end", "ROLLBACK WORK", "START TRANSACTION"]
)
@pytest.mark.parametrize("way", ["session", "connection", "columns"])
async def test_no_text_ends_the_transaction_whatever_way_it_takes(
    transaction: TransactionProvider, with_tables: Container, statement: str, way: str
) -> None:
    with pytest.raises(RuntimeError):
        async with transaction() as tx:
            await write(tx.session, "lost")
            with pytest.raises(TransactionIsOurs):
                if way == "connection":
                    await (await tx.session.connection()).exec_driver_sql(statement)
                elif way == "columns":
                    await tx.session.execute(text(statement).columns(notes.c.id))
                else:
                    await tx.session.execute(text(statement))
            raise RuntimeError
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("propagation", [Propagation.SUPPORTS, Propagation.NOT_SUPPORTED, Propagation.NEVER])
async def test_reading_only_without_a_transaction_is_enforced_by_the_database(
    transaction: TransactionProvider, with_tables: Container, propagation: Propagation
) -> None:
    async with transaction(propagation, read_only=True) as tx:
        with pytest.raises(ReadOnlyTransaction):
            await tx.session.execute(text("INSERT INTO notes (id, text) VALUES (1, 'no')"))
    async with transaction(propagation) as tx:
        await write(tx.session, "the connection writes again")
    assert await stored(with_tables) == {"the connection writes again"}


async def test_a_write_inside_a_read_only_block_is_found_in_disguise(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with acting_as(SYSTEM):
        user = await with_tables.user_dao().add(User.create({"email": "ada@example.com"}))
    hidden = select(update(notes).values(text="no").returning(notes.c.id).cte())
    returning = text("INSERT INTO notes (id, text) VALUES (1, 'no') RETURNING id").columns(notes.c.id)
    for statement in (hidden, returning):
        with pytest.raises((ReadOnlyTransaction, TransactionRolledBack)):
            async with transaction(), transaction(Propagation.NESTED, read_only=True) as tx:
                await tx.session.execute(statement)
    with acting_as(SYSTEM), pytest.raises(ReadOnlyTransaction):
        async with transaction(), transaction(read_only=True) as tx:
            (await tx.session.get_one(User, user.id)).display_name = "no"
    assert (await with_tables.user_dao().get(user.id)).display_name is None
    assert await stored(with_tables) == set()


async def test_text_in_a_read_only_savepoint_inside_a_read_only_block_is_no_trouble(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        async with transaction(read_only=True):
            async with transaction(Propagation.NESTED, read_only=True) as nested:
                await nested.session.execute(text("SELECT 1"))
            with pytest.raises(LookupError):
                async with transaction(Propagation.NESTED, read_only=True) as nested:
                    await nested.session.execute(text("SELECT 1"))
                    raise LookupError
            with pytest.raises(ReadOnlyTransaction):
                async with transaction(Propagation.NESTED, read_only=True) as nested:
                    await nested.session.execute(text("INSERT INTO notes (id, text) VALUES (1, 'no')"))
        await write(tx.session, "kept")
    assert await stored(with_tables) == {"kept"}


async def test_after_an_error_from_the_database_no_statement_follows_on_either_database(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            with pytest.raises(Exception, match="nowhere"):
                await tx.session.execute(text("SELECT * FROM nowhere"))
            with pytest.raises(TransactionRolledBack):
                await write(tx.session, "no")
            with pytest.raises(TransactionRolledBack):
                async with transaction(Propagation.NESTED):
                    pass


async def test_a_value_refused_before_it_was_sent_dooms_nothing(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    from datetime import datetime

    async with transaction() as tx:
        await write(tx.session, "kept")
        with pytest.raises(ValueError, match="names no moment"):
            await with_tables.user_dao().query().gt("created_at", datetime(2026, 1, 1)).all()  # noqa: DTZ001 - naive on purpose
    assert await stored(with_tables) == {"kept"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_lost_before_the_commit_was_sent_is_no_unknown_outcome(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    seen: list[str] = []
    with pytest.raises(ConnectionLost):
        async with transaction() as tx:
            tx.after_rollback(lambda: seen.append("rolled back"))
            await write(tx.session, "lost")
            own = (await tx.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            async with with_tables.engine().connect() as other:
                await other.execute(text(f"SELECT pg_terminate_backend({own})"))
            await asyncio.sleep(0.2)
    assert tx.outcome is Outcome.ROLLED_BACK
    assert seen == ["rolled back"]


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    url = databases.create(backend)
    yield url
    databases.drop(url)


async def test_an_engine_overridden_inside_a_transaction_is_not_joined_by_what_is_resolved_next(
    with_tables: Container, other_url: str
) -> None:
    async with running(Container(settings=Settings(database={"url": other_url}))) as second:
        with acting_as(SYSTEM):
            async with with_tables.transaction()() as tx:
                await write(tx.session, "first")
                with with_tables.engine.override(second.engine()):
                    await with_tables.user_dao().add(User.create({"email": "second@example.com"}))
                assert await with_tables.user_dao().count().rows() == 0
        assert await second.user_dao().count().rows() == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_plain_engine_of_the_callers_keeps_what_runs_without_a_transaction(with_tables: Container) -> None:
    # No lease is taken on it, which would be given back after its end.
    plain = create_async_engine(with_tables.settings().database.url, execution_options={LEASE_OPTION: False})
    with with_tables.engine.override(plain), pytest.raises(LookupError):
        async with with_tables.transaction()(Propagation.NOT_SUPPORTED) as tx:
            await write(tx.session, "stays")
            raise LookupError
    await plain.dispose()
    assert await stored(with_tables) == {"stays"}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_three_independent_transactions_on_two_connections_are_a_deadlock_at_once(settings: Settings) -> None:
    small = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0})
    async with running(Container(settings=settings.model_copy(update={"database": small}))) as container:
        await create_tables(container)
        transaction = container.transaction()
        with pytest.raises(PoolDeadlock):
            async with asyncio.timeout(1), transaction() as first:
                await write(first.session, "first")
                async with transaction(Propagation.REQUIRES_NEW) as second:
                    await write(second.session, "second")
                    async with transaction(Propagation.REQUIRES_NEW) as third:
                        await write(third.session, "third")


async def test_hooks_and_rollback_only_given_to_a_released_savepoint_are_its_surroundings(
    transaction: TransactionProvider,
) -> None:
    seen: list[str] = []
    with pytest.raises(TransactionRolledBack):
        async with transaction():
            async with transaction(Propagation.NESTED) as nested:
                pass
            nested.after_rollback(lambda: seen.append("rolled back"))
            nested.set_rollback_only()
    assert seen == ["rolled back"]
    with pytest.raises(NoActiveTransaction):
        nested.after_commit(list)


async def test_a_cancelled_hook_is_logged_and_stops_nothing(transaction: TransactionProvider) -> None:
    seen: list[str] = []

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with transaction() as tx:
        tx.after_commit(cancelled)
        tx.after_commit(lambda: seen.append("next"))
    assert seen == ["next"]


async def test_a_connection_and_a_transaction_are_their_tasks_too(transaction: TransactionProvider) -> None:
    async with transaction() as tx:
        connection = await tx.session.connection()

        async def intruder() -> None:
            with pytest.raises(SessionBelongsToAnotherTask):
                tx.set_rollback_only()
            await connection.execute(text("SELECT 1"))

        with pytest.raises(SessionBelongsToAnotherTask):
            await asyncio.create_task(intruder())


def test_the_home_is_where_the_container_was_entered_not_where_it_was_first_used(settings: Settings) -> None:
    container = Container(settings=settings)
    loop = asyncio.new_event_loop()
    block = running(container)
    loop.run_until_complete(block.__aenter__())
    try:
        for use in (container.user_dao().count().rows, lambda: container.schema().current()):
            with pytest.raises(EngineBelongsToAnotherLoop):
                asyncio.run(_awaited(use))
        assert loop.run_until_complete(container.user_dao().count().rows()) == 0
    finally:
        loop.run_until_complete(block.__aexit__(None, None, None))
        loop.close()


async def _awaited(use: Callable[[], Awaitable[object]]) -> object:
    return await use()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_lone_read_sends_neither_begin_nor_commit(
    with_tables: Container, transaction: TransactionProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    original = StrictCommitConnection.execute

    async def noting(self: StrictCommitConnection, query: str, *arguments: object, **options: object) -> str:
        sent.append(query)
        return await original(self, query, *arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    async with transaction():
        pass  # a node is leased
    monkeypatch.setattr(StrictCommitConnection, "execute", noting)
    assert await with_tables.user_dao().get_or_none(1) is None
    assert sent == []
    async with transaction() as tx:
        await tx.session.execute(text("SELECT 1"))
    assert [query.split()[0].rstrip(";") for query in sent] == ["BEGIN", "COMMIT"]


@pytest.mark.parametrize("seconds", [3e6, float("inf")])
async def test_a_very_long_timeout_is_one(transaction: TransactionProvider, seconds: float) -> None:
    async with transaction(timeout=seconds) as tx:
        await tx.session.execute(text("SELECT 1"))


async def test_two_containers_that_are_told_one_node_never_make_the_same_id(settings: Settings) -> None:
    told = settings.model_copy(update={"node_id": 77})
    first, second = Container(settings=told).id_generator(), Container(settings=told).id_generator()
    ids = [generator.next_id() for _ in range(2000) for generator in (first, second)]
    assert len(set(ids)) == 4000
