"""Reads use a replica that has what the reader must see, and the primary otherwise."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from sqlalchemy import func, insert, select, text

from tests.conftest import FIGURE
from tests.faults.ledger import Entry, entries, metadata
from tests.faults.replicated import COMES_WITHIN, Replicated, in_use
from tests.patience import until
from unitwork import Database, DatabaseOptions, Propagation, reading_after, reads_from_primary, stale_by_at_most
from unitwork.dao import AdvisoryLocks, BaseDao
from unitwork.errors import NotSupported, ReadOnlyTransaction

LEFT_WITHIN: Final = 1.0
"""Seconds within which reads leave a replica that is gone."""


class EntryDao(BaseDao[Any]):
    """Queries by builder, and one by a session."""

    model = Entry

    async def by_session(self) -> int:
        async with self._reading() as session:
            return int(await session.scalar(select(func.count()).select_from(Entry)) or 0)

    async def locked(self) -> int:
        async with self._reading() as session:
            return len((await session.scalars(select(Entry).with_for_update())).all())

    async def by_text(self, statement: str) -> None:
        async with self._reading() as session:
            await session.execute(text(statement))


async def in_a_unit(database: Database) -> int:
    async with database.transaction(read_only=True) as transaction:
        return int(await transaction.session.scalar(select(func.count()).select_from(Entry)) or 0)


async def in_a_session(database: Database) -> int:
    async with database.sessions(read_only=True) as session:
        return int(await session.scalar(select(func.count()).select_from(Entry)) or 0)


async def by_builder(database: Database) -> int:
    return len(await EntryDao(database.sessions).query().all())


async def by_count(database: Database) -> int:
    return await EntryDao(database.sessions).count().rows()


async def by_stream(database: Database) -> int:
    return len([row async for row in EntryDao(database.sessions).query().stream()])


async def by_lone_session(database: Database) -> int:
    return await EntryDao(database.sessions).by_session()


READS = [by_builder, by_count, by_stream, by_lone_session, in_a_unit, in_a_session]
every_read = pytest.mark.parametrize("read", READS)


async def store(database: Database, part: int = 2) -> None:
    async with database.transaction() as transaction:
        await transaction.session.execute(insert(entries).values(unit="stored", part=part))


@pytest.fixture
async def database(replicated: Replicated) -> AsyncIterator[Database]:
    """One row is on both servers, and the replica is in use."""
    options = DatabaseOptions(replicated.primary_url, replicas=[replicated.replica_url], replica_wait=0.0)
    async with Database(options, node_id=1) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(insert(entries).values(unit="there", part=1))
        await replicated.pair.standby.caught_up()
        await in_use(database)
        yield database


@every_read
async def test_a_read_is_the_replicas_unless_it_must_see_more(
    database: Database, replicated: Replicated, read: Any
) -> None:
    await replicated.pause()
    with reading_after() as writer:
        await store(database)
        assert await read(database) == 2, "one's own write is read"
        assert writer.read_from == {"primary"}
    with reading_after() as nobody:
        assert await read(database) == 1, "who has stored nothing may read what was there before"
        assert nobody.read_from == {"replica"}
    with reading_after(writer.told) as told:
        assert await read(database) == 2
        assert told.read_from == {"primary"}
    with reading_after(), reads_from_primary():
        assert await read(database) == 2
    await replicated.resume()
    await replicated.pair.standby.caught_up()
    with reading_after(writer.told) as later:
        await until(lambda: _used_again(database, writer.told), within=COMES_WITHIN)
        assert await read(database) == 2
        assert later.read_from == {"replica"}


def _used_again(database: Database, told: Any) -> bool:
    replicas = database.replicas
    assert replicas is not None
    position = replicas.replicas[0].position
    return position is not None and position.covers(told.position)


async def test_a_process_reads_what_it_has_stored_without_being_asked_to(
    database: Database, replicated: Replicated
) -> None:
    await replicated.pause()
    await store(database)
    assert await by_builder(database) == 2
    assert await EntryDao(database.sessions).update().eq("unit", "there").set(part=9).execute() == 1
    assert [row.part for row in await EntryDao(database.sessions).query().eq("unit", "there").all()] == [9]


async def test_what_a_lone_write_stored_is_read_and_told(database: Database, replicated: Replicated) -> None:
    """No COMMIT tells its position: the next answer of the primary to the background's question does."""
    dao = EntryDao(database.sessions)
    await replicated.pause()
    with reading_after() as writer:
        await dao.update().eq("unit", "there").set(part=7).execute()
        assert writer.told.everything
        assert [row.part for row in await dao.query().all()] == [7]
        with reading_after(writer.told) as told:
            assert [row.part for row in await dao.query().all()] == [7]
            assert told.read_from == {"primary"}

        async def located() -> bool:
            await dao.query().all()
            return not writer.told.everything

        await until(located, within=COMES_WITHIN)
        assert writer.read_from == {"primary"}
    await replicated.resume()
    await until(lambda: _used_again(database, writer.told), within=COMES_WITHIN)
    with reading_after(writer.told) as told:
        assert [row.part for row in await dao.query().all()] == [7]
        assert told.read_from == {"replica"}


async def test_a_read_waits_for_a_replica_that_is_nearly_there(replicated: Replicated, database: Database) -> None:
    options = DatabaseOptions(replicated.primary_url, replicas=[replicated.replica_url], replica_wait=5.0)
    async with Database(options, node_id=2) as waiting:
        await in_use(waiting)
        for part in range(20):
            with reading_after() as writer:
                await store(waiting, part)
                with reading_after(writer.told) as reader:
                    assert await by_builder(waiting) == part + 2
                    assert reader.read_from == {"replica"}


async def test_reads_inside_a_writer_are_the_primarys(database: Database, replicated: Replicated) -> None:
    dao = EntryDao(database.sessions)
    await replicated.pause()
    with reading_after() as work:
        async with database.transaction() as transaction:
            await transaction.session.execute(insert(entries).values(unit="stored", part=2))
            assert await dao.count().rows() == 2
            async with database.transaction(Propagation.REQUIRES_NEW, read_only=True) as inner:
                assert inner.unit.replica is None
                assert await dao.count().rows() == 1
    assert work.read_from == {"primary"}


async def test_writes_never_reach_a_replica(database: Database, replicated: Replicated) -> None:
    dao = EntryDao(database.sessions)
    with reading_after():
        async with database.transaction(read_only=True) as transaction:
            assert transaction.unit.replica is not None
            with pytest.raises(ReadOnlyTransaction):
                await transaction.session.execute(insert(entries).values(unit="no", part=0))
        with pytest.raises(ReadOnlyTransaction):
            async with database.transaction(read_only=True) as transaction:
                await transaction.session.execute(text("INSERT INTO ledger_entries (unit, part) VALUES ('no', 0)"))
    with reading_after() as work:
        await dao.by_text("INSERT INTO ledger_entries (unit, part) VALUES ('by text', 1)")
        assert work.told.everything, "text may have stored something"
        assert await dao.locked() == 2
        assert work.read_from == {"primary"}
    assert await replicated.pair.primary.ask("SELECT count(*) FROM ledger_entries", database=replicated.name) == 2


async def test_what_only_a_primary_does_goes_to_it(database: Database) -> None:
    """A SELECT may write, by a function of its own or a sequence: a replica refuses, and nothing was done."""
    dao = EntryDao(database.sessions)
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE SEQUENCE numbers"))
    with reading_after() as work:
        assert await dao.query().where(func.nextval("numbers") > 0).all()
        assert work.read_from == {"primary"}


async def test_locks_of_a_replica_are_refused(database: Database) -> None:
    with reading_after():
        async with database.transaction(read_only=True):
            with pytest.raises(NotSupported, match="reads_from_primary"):
                await AdvisoryLocks(database.sessions).acquire("one")
        with reads_from_primary():
            async with database.transaction(read_only=True):
                await AdvisoryLocks(database.sessions).acquire("one")


async def test_a_replica_that_lags_is_left_and_taken_back(database: Database, replicated: Replicated) -> None:
    await replicated.pause()
    with reading_after():
        await store(database)

    async def left() -> bool:
        with reading_after() as work, stale_by_at_most(0.4):
            return await by_builder(database) == 2 and work.read_from == {"primary"}

    await until(left, within=COMES_WITHIN)
    with reading_after() as work:
        assert await by_builder(database) == 1, "others may read what is so old"
        assert work.read_from == {"replica"}
    await replicated.resume()

    async def back() -> bool:
        with reading_after() as work, stale_by_at_most(0.4):
            await by_builder(database)
            return work.read_from == {"replica"}

    await until(back, within=COMES_WITHIN)


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_a_replica_that_is_gone_is_left_at_once_and_taken_back(
    database: Database, replicated: Replicated, how: str, record_property: Any
) -> None:
    standby = replicated.pair.standby
    ending, slowest, read = asyncio.Event(), 0.0, 0
    servers: list[tuple[float, str]] = []

    async def reading() -> None:
        nonlocal slowest, read
        while not ending.is_set():
            begun = time.monotonic()
            with reading_after() as work:
                assert await by_builder(database) == 1
                assert await by_lone_session(database) == 1
            slowest, read = max(slowest, time.monotonic() - begun), read + 1
            servers.append((time.monotonic(), "replica" if "replica" in work.read_from else "primary"))
            await asyncio.sleep(0.02)

    readers = [asyncio.create_task(reading()) for _ in range(3)]
    await asyncio.sleep(0.3)
    gone = time.monotonic()
    if how == "killed":
        await asyncio.to_thread(standby.stop, "immediate")
    else:
        for pid in (*await standby.backends(replicated.name), standby.postmaster):
            standby.freeze(pid)
    await asyncio.sleep(1.2)
    last = max(at for at, server in servers if server == "replica")
    standby.thaw_all()
    await asyncio.to_thread(standby.start)
    here = time.monotonic()
    await until(lambda: any(at > here and server == "replica" for at, server in servers), within=COMES_WITHIN)
    back = min(at for at, server in servers if at > here and server == "replica") - here
    ending.set()
    await asyncio.gather(*readers)
    told = f"replica {how}: left after {max(last - gone, 0):.2f} s, slowest of {read} reads {slowest:.2f} s, 0 failed"
    record_property(FIGURE, f"{told}; used again {back:.2f} s after it answers")
    assert last - gone < LEFT_WITHIN
    assert slowest < 1.5 * LEFT_WITHIN, "what was under way there is read again, at the primary"
