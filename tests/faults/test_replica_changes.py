"""A replica that is promoted, follows another history or a pooler stands before it: nothing stale, and no write."""

from typing import Any, Final

import pytest
from sqlalchemy import insert, text

from tests.faults.fixtures import Pair
from tests.faults.ledger import Entry, entries, metadata
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.relay import Relay
from tests.faults.replicated import COMES_WITHIN, Replicated, in_use
from tests.patience import until
from unitwork import Database, DatabaseOptions, Told, reading_after
from unitwork.dao import BaseDao
from unitwork.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    DeadlockDetected,
    DriverError,
    NotPrimary,
    PoolTimeout,
    SchemaOutdated,
    SerializationFailure,
    StatementTimeout,
    UniqueViolation,
)
from unitwork.replicas.replica import lost, primary_may_do

TAKES_WRITES: Final = "it takes writes"


class EntryDao(BaseDao[Any]):
    model = Entry


async def made(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)


async def store(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(insert(entries).values(unit="stored", part=1))


async def count(database: Database) -> tuple[int, set[str]]:
    with reading_after() as work:
        return len(await EntryDao(database.sessions).query().all()), work.read_from


def reason(database: Database) -> str | None:
    assert database.replicas is not None
    return database.replicas.states()[0].reason


async def test_a_replica_that_is_promoted_is_left_and_takes_no_write(pair: Pair) -> None:
    """Its sessions live on, and it would take writes that the primary never hears of."""
    async with Database(pair.primary.url(), replicas=[pair.standby.url()], node_id=1) as database:
        await made(database)
        await pair.standby.caught_up()
        await in_use(database)
        async with database.transaction(read_only=True) as transaction:
            await transaction.session.execute(text("SELECT 1"))
            assert transaction.unit.replica is not None
        assert database.replicas is not None
        engine = database.replicas.replicas[0].engine
        await pair.standby.promote()
        async with engine.connect() as connection:
            with pytest.raises(NotPrimary) as refused:
                await connection.execute(insert(entries).values(unit="lost", part=1))
            assert refused.value.sqlstate == "25006"
        await until(lambda: TAKES_WRITES in (reason(database) or ""), within=COMES_WITHIN)
        await store(database)
        assert await count(database) == (1, {"primary"})
    assert await pair.standby.ask("SELECT count(*) FROM ledger_entries") == 0


async def test_a_standby_of_another_system_is_no_replica(
    replicated: Replicated, private_postgresql: PrivatePostgresql
) -> None:
    async with Database(private_postgresql.url(), replicas=[replicated.replica_url], node_id=1) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await until(lambda: "another system" in (reason(database) or ""), within=COMES_WITHIN)
        assert await count(database) == (0, {"primary"})
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)


async def test_a_position_of_another_timeline_leads_to_the_primary(replicated: Replicated) -> None:
    async with Database(replicated.primary_url, replicas=[replicated.replica_url], node_id=1) as database:
        await made(database)
        await replicated.pair.standby.caught_up()
        await in_use(database)
        with reading_after() as writer:
            await store(database)
        position = writer.told.position
        assert position is not None
        elsewhere = position._replace(server=position.server._replace(timeline=2), lsn=1)
        with reading_after(Told(elsewhere)) as work:
            assert len(await EntryDao(database.sessions).query().all()) == 1
            assert work.read_from == {"primary"}


async def test_an_ordinary_role_may_ask_all_that_is_needed(replicated: Replicated) -> None:
    """On the timeline that a standby began with: of a later one it learns at its next restart point."""
    async with Database(replicated.primary_url, node_id=1) as database:
        await made(database)
    for statement in (
        "DROP ROLE IF EXISTS ordinary",
        "CREATE ROLE ordinary LOGIN",
        "GRANT USAGE ON SCHEMA public TO ordinary",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO ordinary",
    ):
        await replicated.pair.primary.ask(statement)
    await replicated.pair.standby.caught_up()
    primary, replica = (
        url.replace("postgres@", "ordinary@") for url in (replicated.primary_url, replicated.replica_url)
    )
    async with Database(primary, replicas=[replica], node_id=1) as database:
        await in_use(database)
        with reading_after() as work:
            async with database.transaction() as transaction:
                await transaction.session.execute(insert(entries).values(id=1, unit="stored", part=1))
            assert work.told.position is not None
            assert len(await EntryDao(database.sessions).query().all()) == 1
    for statement in ("DROP OWNED BY ordinary", "DROP ROLE ordinary"):
        await replicated.pair.primary.ask(statement)


async def test_an_address_of_several_servers_is_no_replica(replicated: Replicated) -> None:
    """Replicas of one address replay apart from each other."""
    with Relay("127.0.0.1", replicated.pair.standby.port) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        async with Database(replicated.primary_url, replicas=[url], node_id=1) as database:
            await made(database)
            await replicated.pair.standby.caught_up()
            await in_use(database)
            assert database.replicas is not None
            engine = database.replicas.replicas[0].engine
            relay.lead_to(replicated.pair.primary.port)
            with pytest.raises(DatabaseUnavailable, match="several servers"):
                async with engine.connect():
                    pass
            assert await count(database) == (0, {"primary"})


async def test_behind_a_pooler_no_commit_tells_and_nothing_is_stale(replicated: Replicated) -> None:
    options = DatabaseOptions(
        replicated.primary_url, replicas=[replicated.replica_url], replica_wait=0.0, pooler="pgbouncer"
    )
    async with Database(options, node_id=1) as database:
        await made(database)
        await replicated.pair.standby.caught_up()
        await in_use(database)
        assert (await count(database))[1] == {"replica"}
        await replicated.pause()
        with reading_after() as writer:
            await store(database)
            assert writer.told.everything
            assert len(await EntryDao(database.sessions).query().all()) == 1
        with reading_after(writer.told):
            assert len(await EntryDao(database.sessions).query().all()) == 1
        assert await count(database) == (0, {"replica"})


async def test_replicas_are_shown_to_people_and_metrics(replicated: Replicated) -> None:
    from unitwork.monitor import picture
    from unitwork.monitor.metrics import exposition

    async with Database(replicated.primary_url, replicas=[replicated.replica_url], node_id=1) as database:
        await made(database)
        await replicated.pair.standby.caught_up()
        await in_use(database)
        assert (await count(database))[1] == {"replica"}
        seen = picture(database.monitor, history=False)
        address = f"127.0.0.1:{replicated.pair.standby.port}/postgres"
        (state,) = seen["replicas"]
        assert (state["address"], state["used"], state["reason"], state["reads"]) == (address, True, None, 1)
        assert seen["reads"]["replica"] == 1
        told = exposition(database.monitor, lambda: None).text().decode()
        assert 'unitwork_units_served_total{server="replica"} 1.0' in told
        assert f'unitwork_replica_used{{replica="{address}"}} 1.0' in told
        assert f'unitwork_replica_lag_seconds{{replica="{address}"}} ' in told


@pytest.mark.parametrize(
    ("error", "again", "gone"),
    [
        (ConnectionLost("x", sqlstate="08006"), True, True),
        (DatabaseUnavailable("x", "there"), True, True),
        (PoolTimeout(size=1, timeout=1), True, False),
        (SerializationFailure("a conflict with recovery", sqlstate="40001"), True, False),
        (SchemaOutdated("x", sqlstate="42P01"), True, False),
        (DriverError("cannot execute nextval() in a read-only transaction", sqlstate="25006"), True, False),
        (StatementTimeout("x", sqlstate="57014"), False, False),
        (DeadlockDetected("x", sqlstate="40P01"), False, False),
        (UniqueViolation(constraint=None, columns=()), False, False),
        (ZeroDivisionError(), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_is_tried_at_the_primary_and_what_means_that_the_replica_is_gone(
    error: Exception, again: bool, gone: bool
) -> None:
    assert (primary_may_do(error), lost(error)) == (again, gone)
