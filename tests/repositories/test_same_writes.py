"""However a DAO writes a row, it is what a plain session would have written, and the model it leaves is the same."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, insert, inspect, update
from sqlalchemy.ext.asyncio import AsyncSession

from tests.repositories.portraits import Seen, differing, seen, value_of
from tests.repositories.specimens import Specimen
from tests.repositories.zoo import Named, Types
from tests.repositories.zoo_families import Viewed
from tests.repositories.zoo_visit import ROWS, Zoo, database_url, on_databases, ordered  # noqa: F401 - a fixture
from unitwork.dao.inserts import bulk_insert
from unitwork.dao.statements.selection import primary_key
from unitwork.rows.instances import instance_plan

pytestmark = on_databases


async def stored(session: AsyncSession, specimen: Specimen) -> list[Seen]:
    """The rows as they are in the database, whatever the session holds."""
    await session.flush()
    session.expunge_all()
    return seen((await session.scalars(ordered(specimen))).all(), specimen.given)


async def test_add(zoo: Zoo) -> None:
    told = []
    for specimen in zoo.specimens:
        dao = zoo.dao(specimen)
        for number in range(ROWS):
            plain, short = specimen.row(number), specimen.row(number)
            async with zoo.undone() as session:
                session.add(plain)
                await session.flush()
                wanted = seen([plain], specimen.given), await stored(session, specimen)
            async with zoo.transaction() as tx:
                await dao.add(short)
                assert short in tx.session
                found = seen([short], specimen.given), await stored(tx.session, specimen)
            told += differing(f"{specimen} {number} added", found[0], wanted[0])
            told += differing(f"{specimen} {number} stored", found[1], wanted[1])
    assert not told, "\n" + "\n".join(told)


async def test_a_change_after_an_add_is_one_of_that_column(zoo: Zoo) -> None:
    told = []
    for specimen in zoo.specimens:
        if not specimen.changes:
            continue
        for number in range(ROWS):
            plain, short = specimen.row(number), specimen.row(number)
            async with zoo.undone() as session:
                session.add(plain)
                await session.flush()
                wanted = [*changed(plain, specimen), *await stored(session, specimen)]
            async with zoo.transaction() as tx:
                await zoo.dao(specimen).add(short)
                found = [*changed(short, specimen), *await stored(tx.session, specimen)]
            stamp = {".updated_at"}
            told += differing(f"{specimen} {number}", without(found, stamp), without(wanted, stamp))
    assert not told, "\n" + "\n".join(told)


async def test_a_change_of_a_loaded_row(zoo: Zoo) -> None:
    """Loaded, changed and flushed, as often as it takes to have a plan of each statement."""
    told = []
    for specimen in zoo.specimens:
        if not specimen.changes or not specimen.paged:
            continue
        await zoo.store([specimen])
        for number in range(ROWS):
            async with zoo.undone() as session:
                plain = (await session.scalars(ordered(specimen))).all()[number]
                wanted = [*changed(plain, specimen)]
                await session.flush()
                wanted += [*seen([plain], specimen.given), *await stored(session, specimen)]
            async with zoo.transaction() as tx:
                short = (await zoo.dao(specimen).query(include_deleted=True).all())[number]
                found = [*changed(short, specimen)]
                await zoo.dao(specimen).flush()
                found += [*seen([short], specimen.given), *await stored(tx.session, specimen)]
            stamp = {".updated_at"}
            told += differing(f"{specimen} {number}", without(found, stamp), without(wanted, stamp))
    assert not told, "\n" + "\n".join(told)


def changed(row: Any, specimen: Specimen) -> list[Seen]:
    """The row, changed, and what its state tells of that."""
    for name, value in specimen.changes.items():
        setattr(row, name, value)
    history = {name: value_of(tuple(inspect(row).attrs[name].history)) for name in specimen.changes}
    return [history, *seen([row], specimen.given)]


@pytest.mark.parametrize("copying", [False, True])
@pytest.mark.parametrize("models", [False, True])
async def test_add_many(zoo: Zoo, *, models: bool, copying: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_insert, "MIN_COPY_ROWS", ROWS if copying else 1000)
    told = []
    for specimen in zoo.specimens:
        if specimen.model is Viewed if models else not set(specimen.rows(0)) <= columns_of(specimen):
            continue
        plain, short = ([specimen.row(number) for number in range(ROWS)] for _ in range(2))
        async with zoo.undone() as session:
            if models:
                session.add_all(plain)
                await session.flush()
                wanted = seen(plain, specimen.given)
            else:
                for number in range(ROWS):
                    await session.execute(insert(specimen.model), [specimen.rows(number)])
                wanted = []
            wanted += await stored(session, specimen)
        async with zoo.transaction() as tx:
            if models:
                await zoo.dao(specimen).add_many(short)
                found = seen(short, specimen.given)
            else:
                assert await zoo.dao(specimen).add_many([specimen.rows(number) for number in range(ROWS)]) == ROWS
                found = []
            found += await stored(tx.session, specimen)
        told += differing(f"{specimen}", found, wanted)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


def columns_of(specimen: Specimen) -> set[str]:
    return set(inspect(specimen.model).column_attrs.keys())


@pytest.mark.parametrize("outside", [False, True])
async def test_update(zoo: Zoo, *, outside: bool) -> None:
    told = []
    for specimen in zoo.specimens:
        if not specimen.changes:
            continue
        await zoo.store([specimen])
        before = await zoo.rows(specimen)
        async with zoo.undone() as session:
            await session.execute(update(specimen.model).values(specimen.changes))
            wanted = await stored(session, specimen)
        wanted_returned = []
        if zoo.container.engine().dialect.update_returning and inspect(specimen.model).inherits is None:
            statement = update(specimen.model).values(specimen.changes).returning(specimen.model)
            wanted_returned = await returned_by_sqlalchemy(zoo, specimen, statement)
        everything = zoo.dao(specimen).update(include_deleted=True).all_rows().set(**specimen.changes)
        for time in range(3):
            if outside:
                assert await everything.execute() == len(before)
                returned = seen(await everything.returning(), specimen.given)
                async with zoo.plain() as session:
                    found = await stored(session, specimen)
                if wanted_returned:
                    ours = {".version", ".updated_at"} | (set() if instance_plan(specimen.model) else {"path"})
                    theirs = without(wanted_returned, ours)
                    told += differing(f"{specimen} {time} returned", without(returned, ours), theirs)
            else:
                async with zoo.transaction() as tx:
                    assert await everything.execute() == len(before)
                    found = await stored(tx.session, specimen)
            version = {".version"} if outside else set()
            told += differing(f"{specimen} {time}", without(found, version), without(wanted, version))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def returned_by_sqlalchemy(zoo: Zoo, specimen: Specimen, statement: Any) -> list[Seen]:
    """What a plain session has of it when it has ended; of which nothing stays."""
    async with zoo.undone() as session:
        rows = list((await session.scalars(statement)).all())
        session.expunge_all()
        rows.sort(key=lambda row: [getattr(row, name) for name in primary_key(specimen.model)])
        return seen(rows, specimen.given)


def without(portraits: Sequence[Seen], names: set[str]) -> list[Seen]:
    return [{name: value for name, value in one.items() if name not in names} for one in portraits]


async def test_increment(zoo: Zoo) -> None:
    told = []
    specimen = next(one for one in zoo.specimens if one.model is Types)
    await zoo.store([specimen])
    dialect = zoo.container.engine().dialect.name
    amounts: dict[str, list[Any]] = {
        "exact": [Decimal("0.25"), 1],
        "floating": [0.5, 1],
        "as_float": [1],
        "loose": [Decimal("0.5")],
    }
    if dialect == "postgresql":
        amounts |= {"naive": [timedelta(1)], "day": [3], "span": [timedelta(1)]}
    for name, several in amounts.items():
        for amount in several:
            for time in range(3):
                column = getattr(Types, name)
                async with zoo.undone() as session:
                    await session.execute(update(Types).values({name: column + amount}))
                    wanted = await stored(session, specimen)
                await zoo.dao(specimen).update().all_rows().increment(name, amount).execute()
                told += differing(f"{name} {amount} {time}", seen(await zoo.rows(specimen)), without(wanted, set()))
    told = [one for one in told if ": life" not in one]
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_upsert(zoo: Zoo) -> None:
    told = []
    for specimen in zoo.specimens:
        if not specimen.changes or specimen.given or not set(specimen.rows(0)) <= columns_of(specimen):
            continue
        if specimen.model is Named and zoo.container.engine().dialect.name not in {"sqlite", "postgresql"}:
            continue  # SQLAlchemy's VALUES() of MariaDB doubles a percent sign in a name twice
        on = list(primary_key(specimen.model))
        await zoo.store([specimen])
        async with zoo.undone() as session:
            await session.execute(update(specimen.model).values(specimen.changes))
            wanted = await stored(session, specimen)
        keys = [{name: specimen.rows(number)[name] for name in on} for number in range(ROWS)]
        for time in range(2):
            async with zoo.transaction() as tx:
                held = list((await tx.session.scalars(ordered(specimen))).all())
                rows = [{**specimen.rows(at), **key, **specimen.changes} for at, key in enumerate(keys)]
                assert await zoo.dao(specimen).upsert_many(rows, on=on) == ROWS
                assert held
                now = seen((await tx.session.scalars(ordered(specimen))).all())
                found = await stored(tx.session, specimen)
            told += differing(f"{specimen} {time}", without(found, {".updated_at"}), without(wanted, {".updated_at"}))
            told += differing(f"{specimen} {time} held", without(now, {"options"}), without(found, {"options"}))
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_delete(zoo: Zoo) -> None:
    told = []
    for specimen in zoo.specimens:
        if inspect(specimen.model).inherits is not None:  # SQLAlchemy deletes of one table only
            continue
        for time in range(3):
            await zoo.store([specimen])
            statement = delete(specimen.model).returning(specimen.model)
            wanted = await returned_by_sqlalchemy(zoo, specimen, statement)
            found = seen(await zoo.dao(specimen).delete(include_deleted=True).all_rows().returning(), specimen.given)
            ours: set[str] = set() if instance_plan(specimen.model) else {"path"}
            told += differing(f"{specimen} {time}", without(found, ours), without(wanted, ours))
            assert await zoo.dao(specimen).count(include_deleted=True).rows() == 0
            await zoo.empty(specimen)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))
