"""Rows that are made while COPY sends them: how many one takes, what ends it, and whose errors they are."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, text

from containers import Container
from tests.repositories.shelves import Keepsake, ShelfBase
from tests.repositories.test_bulk import Sent, mappings
from unitwork.dao import BaseDao
from unitwork.dao.inserts.bulk_insert import MIN_COPY_ROWS
from unitwork.dao.inserts.copied_rows import CHUNK_ROWS, MAX_COPY_ROWS
from unitwork.errors import UnknownColumn

pytestmark = pytest.mark.usefixtures("acting")


async def test_one_copy_takes_a_bounded_number_of_rows(container: Container, backend: str) -> None:
    sent, dao = Sent(container), container.user_dao()
    assert await dao.add_many(mappings(MAX_COPY_ROWS + 1_500)) == MAX_COPY_ROWS + 1_500
    assert sent.copies() == (2 if backend == "postgresql" else 0)
    assert await dao.count().distinct("id") == MAX_COPY_ROWS + 1_500


async def test_rows_that_copy_cant_take_end_it_and_are_stored_all_the_same(container: Container, backend: str) -> None:
    def some_expression() -> Iterator[dict[str, Any]]:
        for number, row in enumerate(mappings(3 * CHUNK_ROWS)):
            yield row | ({"display_name": func.upper("upper")} if number == CHUNK_ROWS + 7 else {})

    sent, dao = Sent(container), container.user_dao()
    assert await dao.add_many(some_expression()) == 3 * CHUNK_ROWS
    assert sent.copies() == (2 if backend == "postgresql" else 0)
    assert await dao.count().rows() == 3 * CHUNK_ROWS
    assert await dao.query().eq("display_name", "UPPER").exists()


@pytest.mark.parametrize("wrong", [{"nmae": "x"}, None, RuntimeError("no more")], ids=["name", "type", "own"])
async def test_an_error_of_a_later_row_is_the_callers_and_nothing_is_stored(
    container: Container, backend: str, wrong: Any
) -> None:
    def rows() -> Iterator[Any]:
        yield from mappings(CHUNK_ROWS + 10)
        if isinstance(wrong, Exception):
            raise wrong
        yield wrong

    dao = container.user_dao()
    with pytest.raises((UnknownColumn, TypeError, RuntimeError)) as told:
        await dao.add_many(rows())
    assert type(told.value) in {UnknownColumn, TypeError, RuntimeError}
    assert await dao.count().rows() == 0
    assert await dao.add_many(mappings(CHUNK_ROWS)) == CHUNK_ROWS, "the connection is as good as before"


async def test_json_that_is_not_given_is_null_by_every_way_and_a_given_none_is_jsons(container: Container) -> None:
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
    dao = BaseDao(container.session_provider(), Keepsake)
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"document": None}, False)]
    for given, null in cases:
        async with container.transaction()():
            await dao.delete().all_rows().execute()
            for _ in range(2):  # the second one by the driver itself
                await dao.add(Keepsake(words="added", **given))
            await dao.add_many([Keepsake(words="model", **given)])
            await dao.add_many([{"words": "mapping", **given}])
            await dao.add_many([{"words": "copied", **given} for _ in range(MIN_COPY_ROWS)])
            await dao.add_many([Keepsake(words="copied model", **given) for _ in range(MIN_COPY_ROWS)])
        async with container.session_provider()(read_only=True) as session:
            counted = await session.execute(
                text("SELECT count(*), count(CASE WHEN document IS NULL THEN 1 END) FROM keepsakes")
            )
            rows, nulls = counted.one()
        assert rows == 2 * MIN_COPY_ROWS + 4
        assert nulls == (rows if null else 0)
