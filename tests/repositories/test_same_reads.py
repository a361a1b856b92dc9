"""However a DAO reads a row, it is what a plain session of SQLAlchemy's would have read, attribute by attribute."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from tests.repositories.portraits import differing, seen
from tests.repositories.zoo_visit import Zoo, database_url, on_databases, ordered  # noqa: F401 - a fixture
from unitwork.dao import BaseDao

pytestmark = on_databases


async def ways(dao: BaseDao[Any], ids: Sequence[Any], *, paged: bool) -> AsyncIterator[tuple[str, list[Any]]]:
    """Every way to read all rows, but "first" and "one"."""
    query = dao.query()
    yield "all", await query.all()
    if paged:
        yield "first", [await query.first()]
        yield "one", [await query.limit(1).one()]
        yield "page", [row for number in range(1, 4) for row in (await query.page(number, 2)).items]
        walked = [await query.after(None, 2)]
        while walked[-1].has_more:
            walked.append(await query.after(walked[-1].next_cursor, 2))
        yield "after", [row for part in walked for row in part.items]
    yield "stream", [row async for row in query.stream(chunk=4)]
    if ids:
        yield "get", [await dao.get(one) for one in ids]
        yield "get_or_none", [await dao.get_or_none(one) for one in ids]
        yield "get_many", await dao.get_many(ids)


async def test_outside_a_transaction(zoo: Zoo) -> None:
    told = []
    await zoo.store(zoo.specimens)
    for specimen in zoo.specimens:
        wanted = await zoo.rows(specimen)
        ids = [row.id for row in wanted] if hasattr(specimen.model, "id") else []
        for time in range(3):
            async for way, found in ways(zoo.dao(specimen), ids, paged=specimen.paged):
                told += differing(f"{specimen} {way} {time}", seen(found), seen(wanted[: len(found)]))
                assert len(found) == (1 if way in {"first", "one"} else len(wanted)), (specimen, way)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))


async def test_in_a_transaction_it_is_the_sessions_own(zoo: Zoo) -> None:
    told = []
    await zoo.store(zoo.specimens)
    for specimen in zoo.specimens:
        ids = [row.id for row in await zoo.rows(specimen)] if hasattr(specimen.model, "id") else []
        async with zoo.plain() as plain:
            wanted = list((await plain.scalars(ordered(specimen))).all())
            async with zoo.container.transaction()(read_only=True) as tx:
                async for way, found in ways(zoo.dao(specimen), ids, paged=specimen.paged):
                    told += differing(f"{specimen} {way}", seen(found), seen(wanted[: len(found)]))
                    assert all(row in tx.session for row in found)
                    again = list((await tx.session.scalars(ordered(specimen))).all())
                    assert all(one is other for one, other in zip(found, again, strict=False)), (specimen, way)
    assert not told, "\n" + "\n".join(dict.fromkeys(told))
