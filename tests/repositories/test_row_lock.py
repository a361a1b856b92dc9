"""Row locks: who waits, who is told, and where they make no sense."""

import asyncio

import pytest

from containers import Container
from tests.repositories.accounts import store_named
from unitwork.errors import LockNotAvailable, NoActiveTransaction, NotSupported, ReadOnlyTransaction
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers import mariadb_server

pytestmark = pytest.mark.database("own")


@pytest.mark.parametrize("word", ["skip_locked", "nowait"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_sqlite_has_no_row_locks_to_skip(container: Container, word: str) -> None:
    query = container.user_dao().query().with_for_update(**{word: True})
    async with container.transaction()():
        with pytest.raises(NotSupported, match=r"sqlite has no (SKIP LOCKED|NOWAIT)"):
            await query.all()
        assert await container.user_dao().query().with_for_update().all() == []
        assert await container.user_dao().query().with_for_update(timeout=1).all() == []


async def test_a_lock_without_a_transaction_is_refused(container: Container) -> None:
    await store_named(container, "a")
    query = container.user_dao().query().with_for_update()
    for ask in (query.all, query.first, lambda: query.scalars("id"), lambda: anext(query.stream())):
        with pytest.raises(NoActiveTransaction):
            await ask()
    assert container.schema().connections_in_use == 0


async def test_a_lock_in_a_block_that_reads_only_is_refused(container: Container) -> None:
    await store_named(container, "a")
    async with container.transaction()(read_only=True):
        with pytest.raises(ReadOnlyTransaction):
            await container.user_dao().query().with_for_update().all()
        assert await container.user_dao().query().scalars("display_name") == ["a"]


@pytest.mark.parametrize("backend", ["postgresql", *(["mariadb"] if mariadb_server.named() else [])], indirect=True)
async def test_a_locked_row_is_left_out_or_refused_at_once_or_after_a_while(container: Container, backend: str) -> None:
    held, free = await store_named(container, "held", "free")
    locked, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with container.transaction()():
            await container.user_dao().query().eq("id", held.id).with_for_update().one()
            locked.set()
            await done.wait()

    holder = asyncio.create_task(hold())
    await locked.wait()
    dao = container.user_dao()
    try:
        async with container.transaction()():
            skipping = dao.query().with_for_update(skip_locked=True)
            assert await skipping.scalars("display_name") == ["free"]
            assert (await skipping.one()).id == free.id
        for query in (dao.query().with_for_update(nowait=True), dao.query().with_for_update(timeout=0.05)):
            with pytest.raises(LockNotAvailable):
                async with container.transaction()():
                    await query.all()
    finally:
        done.set()
        await holder
    async with container.transaction()() as tx:
        assert len(await dao.query().with_for_update(timeout=0.05).all()) == 2
        if backend == "mariadb":
            return
        limit = (await tx.session.connection()).exec_driver_sql("SELECT current_setting('lock_timeout')")
        assert (await limit).scalar() == "0", "the setting is put back"


def test_one_answer_to_a_locked_row_at_a_time(container: Container) -> None:
    query = container.user_dao().query()
    for options in ({"skip_locked": True, "nowait": True}, {"nowait": True, "timeout": 1.0}, {"timeout": 0.0}):
        with pytest.raises(ValueError, match="give"):
            query.with_for_update(**options)


async def test_who_locks_reads_what_the_one_before_has_written(container: Container) -> None:
    """Read, calculate, write: with a lock no increment is lost, on either database."""
    (row,) = await store_named(container, "0")

    async def count_on() -> None:
        with acting_as(SYSTEM):
            async with container.transaction()():
                found = await container.user_dao().query().eq("id", row.id).with_for_update().one()
                found.display_name = str(int(found.display_name or "0") + 1)

    await asyncio.gather(*(count_on() for _ in range(8)))
    assert (await container.user_dao().get(row.id)).display_name == "8"
