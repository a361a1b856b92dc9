"""However an in-memory DAO reads or writes a row, it is what a plain session on PostgreSQL would have had."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from tests.fakes import over_fakes
from tests.repositories.portraits import Seen, copies, differing, seen
from tests.repositories.specimens import Specimen
from tests.repositories.test_same_reads import ways
from tests.repositories.test_same_writes import changed, columns_of, stored, without
from tests.repositories.zoo import Asking, ByServer, Converted
from tests.repositories.zoo_families import Animal, Bird, Lorry, Vehicle, Viewed
from tests.repositories.zoo_postgresql import BySequence, ByServersUuid
from tests.repositories.zoo_visit import ROWS, Zoo, database_url, on_databases, ordered  # noqa: F401 - a fixture
from unitwork import Transaction
from unitwork.dao.statements.selection import primary_key
from unitwork.errors import TransactionRolledBack
from unitwork.testing.fakes import InMemoryDao, NotFaked

pytestmark = [pytest.mark.parametrize("backend", ["postgresql"], indirect=True), *on_databases[1:]]

NOT_FAKED: Final[dict[type[Any], str]] = {
    Converted: "the SQL around each value of Converted's shouted",
    Asking: "`connection`, which a default asks of its context",
    ByServer: "the server default of by_server.number",
    ByServersUuid: "the server default of by_servers_uuid.id",
    BySequence: "the sequence by_sequence_ids",
    Viewed: "the key of Viewed, which is not its table's",
    **{
        model: f"{model.__name__}, which shares its table or has more than one"
        for model in (Animal, Bird, Vehicle, Lorry)
    },
}


class Memory:
    """The zoo's other place: each specimen has a store of its own."""

    def __init__(self, specimen: Specimen) -> None:
        self.container: Final[Container] = over_fakes()[0]
        self.specimen = specimen
        self.dao: Final[InMemoryDao[Any]] = InMemoryDao(self.container.session_provider(), specimen.model)

    async def store(self) -> None:
        for number in range(ROWS):
            await self.dao.add(self.specimen.row(number))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        with suppress(TransactionRolledBack):
            async with self.container.transaction()() as tx:
                yield tx
                tx.set_rollback_only()

    async def stored(self, session: AsyncSession) -> list[Seen]:
        await session.flush()
        session.expunge_all()
        return seen(await self.dao.query(include_deleted=True).all(), self.specimen.given)


def memories(zoo: Zoo) -> list[Memory]:
    """Of each specimen that is faked."""
    return [Memory(specimen) for specimen in zoo.specimens if specimen.model not in NOT_FAKED]


@pytest.mark.parametrize("model", NOT_FAKED)
async def test_what_memory_has_not_is_refused_by_name(zoo: Zoo, model: type[Any]) -> None:
    [specimen] = [one for one in zoo.specimens if one.model is model]
    with pytest.raises(NotFaked, match=NOT_FAKED[model]):
        await Memory(specimen).store()


async def test_reads(zoo: Zoo) -> None:
    told = []
    await zoo.store(zoo.specimens)
    for memory in memories(zoo):
        specimen = memory.specimen
        await memory.store()
        wanted = await zoo.rows(specimen)
        ids = [row.id for row in wanted] if hasattr(specimen.model, "id") else []
        async for way, found in ways(memory.dao, ids, paged=specimen.paged):
            told += differing(f"{specimen} {way}", alike(seen(found)), alike(seen(wanted[: len(found)])))
            assert len(found) == (1 if way in {"first", "one"} else len(wanted)), (specimen, way)
        copied = [copies(row) for row in await memory.dao.query().all()]
        told += differing(
            f"{specimen} copied",
            alike([one for pair in copied for one in seen(pair)]),
            alike([one for row in wanted for one in seen(copies(row))]),
        )
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_reads_in_a_transaction(zoo: Zoo) -> None:
    told = []
    await zoo.store(zoo.specimens)
    for memory in memories(zoo):
        specimen = memory.specimen
        await memory.store()
        async with zoo.plain() as plain:
            wanted = list((await plain.scalars(ordered(specimen))).all())
            async with memory.container.transaction()(read_only=True) as tx:
                ids = await memory.dao.query().scalars("id") if hasattr(specimen.model, "id") else []
                async for way, found in ways(memory.dao, ids, paged=specimen.paged):
                    portraits = seen(found, specimen.given), seen(wanted[: len(found)], specimen.given)
                    told += differing(f"{specimen} {way}", *map(alike, portraits))
                    assert all(row in tx.session for row in found)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("many", [False, True])
async def test_what_is_added(zoo: Zoo, *, many: bool, changing: bool) -> None:
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        for number in range(ROWS):
            plain, faked = specimen.row(number), specimen.row(number)
            async with zoo.undone() as session:
                session.add(plain)
                await session.flush()
                wanted = changed(plain, specimen) if changing else seen([plain], specimen.given)
                after = await stored(session, specimen)
            async with memory.transaction() as tx:
                await (memory.dao.add_many([faked]) if many else memory.dao.add(faked))
                found = changed(faked, specimen) if changing else seen([faked], specimen.given)
                told += differing(f"{specimen} {number}", *both(found, wanted))
                told += differing(f"{specimen} {number} stored", *both(await memory.stored(tx.session), after))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_what_mappings_store(zoo: Zoo) -> None:
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        if not set(specimen.rows(0)) <= columns_of(specimen):
            continue
        rows = [specimen.rows(number) for number in range(ROWS)]
        async with zoo.transaction() as tx:
            await zoo.dao(specimen).add_many(rows)
            wanted = await stored(tx.session, specimen)
        async with memory.transaction() as tx:
            await memory.dao.add_many(rows)
            told += differing(f"{specimen}", *both(await memory.stored(tx.session), wanted))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


@pytest.mark.parametrize("held", [False, True])
async def test_what_an_update_leaves(zoo: Zoo, *, held: bool) -> None:
    """In a transaction, with its models held, too; what RETURNING gives, and what is stored."""
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        if not specimen.changes:
            continue
        await zoo.store([specimen])
        await memory.store()
        results = []
        for dao, transaction in ((zoo.dao(specimen), zoo.transaction), (memory.dao, memory.transaction)):
            async with transaction() as tx:
                rows = await dao.query(include_deleted=True).all() if held else []
                update = dao.update(include_deleted=True).all_rows().set(**specimen.changes)
                returned = await update.returning()
                keys = primary_key(specimen.model)
                returned.sort(key=lambda row: repr([getattr(row, name) for name in keys]))
                told += (
                    [f"{specimen}: not the row that is held"]
                    if held and set(map(id, rows)) != set(map(id, returned))
                    else []
                )
                shown = seen(returned, specimen.given)
                tx.session.expunge_all()
                results.append(shown + seen(await dao.query(include_deleted=True).all(), specimen.given))
        told += differing(f"{specimen}", *both(*reversed(results)))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_what_a_flush_leaves(zoo: Zoo) -> None:
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        await zoo.store([specimen])
        await memory.store()
        results = []
        for dao, transaction in ((zoo.dao(specimen), zoo.transaction), (memory.dao, memory.transaction)):
            async with transaction() as tx:
                rows = await dao.query(include_deleted=True).all()
                for row in rows:
                    changed(row, specimen)
                await tx.session.flush()
                shown = seen(rows, specimen.given)
                await tx.session.delete(rows[0])
                await tx.session.flush()
                shown += seen(rows[:1], specimen.given)
                tx.session.expunge_all()
                shown += seen(await dao.query(include_deleted=True).all(), specimen.given)
            results.append(shown + seen(rows, specimen.given))
        told += differing(f"{specimen}", *both(*reversed(results)))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_what_an_upsert_leaves(zoo: Zoo) -> None:
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        if not specimen.changes or specimen.given or not set(specimen.rows(0)) <= columns_of(specimen):
            continue
        on = list(primary_key(specimen.model))
        await zoo.store([specimen])
        await memory.store()
        keys = [{name: specimen.rows(number)[name] for name in on} for number in range(ROWS)]
        rows = [{**specimen.rows(at), **key, **specimen.changes} for at, key in enumerate(keys)]
        results = []
        for dao, transaction in ((zoo.dao(specimen), zoo.transaction), (memory.dao, memory.transaction)):
            async with transaction():
                held = await dao.query(include_deleted=True).all()
                assert await dao.upsert_many(rows, on=on) == ROWS
                results.append(seen(held, specimen.given))
        told += differing(f"{specimen}", *both(*reversed(results)))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_what_a_delete_leaves(zoo: Zoo) -> None:
    told = []
    for memory in memories(zoo):
        specimen = memory.specimen
        await zoo.store([specimen])
        await memory.store()
        results = [
            seen(await dao.delete(include_deleted=True).all_rows().returning(), specimen.given)
            for dao in (zoo.dao(specimen), memory.dao)
        ]
        told += differing(f"{specimen}", *both(*reversed(results)))
        assert await memory.dao.count(include_deleted=True).rows() == 0
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


def both(found: Sequence[Seen], wanted: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """Without what is never the same twice."""
    stamps = {".updated_at", "path"}
    return without(alike(found), stamps), without(alike(wanted), stamps)


def alike(portraits: Sequence[Seen]) -> list[Seen]:
    """asyncpg's UUIDs are a class of its own; and a relationship is loaded by no fake."""
    return [{name: _alike(value) for name, value in one.items() if name != ".cage"} for one in portraits]


def _alike(value: Any) -> Any:
    if isinstance(value, type):
        return UUID if issubclass(value, UUID) else value
    if isinstance(value, tuple | list):
        return type(value)(map(_alike, value))
    if isinstance(value, set | frozenset):
        return value - {"cage"}
    return value
