"""Keyset pages: walked to the end they are the sorted list, once each."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete

from containers import Container
from domain import Role, User
from tests.repositories.accounts import account, store, store_named
from unitwork.dao import Query
from unitwork.models import SYSTEM, acting_as

SORTABLE = ["display_name", "email", "role", "created_at", "version", "id", "deleted_at"]
MOMENT = datetime(2026, 1, 1, 12, 30, 0, 1, tzinfo=UTC)


async def walked(query: Query[User], size: int) -> list[int]:
    """The ids of every page, one after the other."""
    ids: list[int] = []
    cursor: str | None = None
    while True:
        page = await query.after(cursor, size)
        assert len(page.items) == size or not page.has_more
        assert page.has_more is (page.next_cursor is not None)
        ids += [row.id for row in page.items]
        if page.next_cursor is None:
            return ids
        cursor = page.next_cursor


def sort_key(row: User, order: list[str]) -> list[Any]:
    """NULL comes last either way; numbers and moments turn round for descending."""
    key: list[Any] = []
    for name in [*order, ("-" if order[-1].startswith("-") else "") + "id"]:
        value = getattr(row, name.removeprefix("-"))
        if isinstance(value, datetime):
            value = (value - MOMENT) // timedelta(microseconds=1)
        if isinstance(value, str):
            value = [ord(letter) for letter in value]
            key.append((value is None, [-letter for letter in value] if name.startswith("-") else value))
        else:
            key.append((value is None, 0 if value is None else -value if name.startswith("-") else value))
    return key


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            # Of one length: how a prefix sorts, descending, is not this test's question.
            "display_name": st.sampled_from([None, "aa", "ab", "bb"]),
            "email": st.booleans(),
            "role": st.sampled_from(Role),
            "version": st.integers(1, 3),
            "created_at": st.sampled_from([MOMENT, MOMENT + timedelta(microseconds=1), MOMENT + timedelta(days=1)]),
            "deleted_at": st.sampled_from([None, MOMENT, MOMENT + timedelta(microseconds=1)]),
        }
    ),
    max_size=9,
)
ORDER = st.lists(st.sampled_from(SORTABLE), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names)).map(list)
)


@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=ROWS, orders=st.lists(ORDER, min_size=1, max_size=3), size=st.integers(1, 4))
async def test_pages_walked_to_the_end_are_the_sorted_list(
    container: Container, rows: list[dict[str, Any]], orders: list[list[str]], size: int
) -> None:
    dao = container.user_dao()
    with acting_as(SYSTEM):
        async with container.transaction()() as tx:
            await tx.session.execute(delete(User))
            models = [
                account(f"{number:03}@b.c" if row.pop("email") else None, phone=f"+1415555{number:04}", **row)
                for number, row in enumerate(dict(row) for row in rows)
            ]
            await dao.add_many(models)
    for order in orders:
        query = dao.query(include_deleted=True).order_by(*order)
        ids = await walked(query, size)
        assert ids == [row.id for row in await query.all()]
        assert ids == [row.id for row in sorted(models, key=lambda row: sort_key(row, order))]


async def test_the_first_page_the_last_page_and_no_page(container: Container) -> None:
    query = container.user_dao().query().order_by("-display_name")
    empty = await query.after(None, 2)
    assert (list(empty.items), empty.next_cursor, empty.has_more) == ([], None, False)
    await store_named(container, *"abcd")
    first = await query.after(None, 2)
    assert [row.display_name for row in first.items] == ["d", "c"]
    assert first.has_more
    last = await query.after(first.next_cursor, 2)
    assert [row.display_name for row in last.items] == ["b", "a"]
    assert last.next_cursor is None
    assert [row.display_name for row in (await query.after(None, 100)).items] == ["d", "c", "b", "a"]


@pytest.mark.parametrize("size", [0, -1])
async def test_a_page_of_no_rows_is_an_error(container: Container, size: int) -> None:
    await store_named(container, "a")
    with pytest.raises(ValueError, match="size of 1 or more"):
        await container.user_dao().query().after(None, size)


async def test_rows_that_come_and_go_are_neither_repeated_nor_skipped(container: Container) -> None:
    rows = await store_named(container, "b", "d", "f", "h")
    dao = container.user_dao()
    query = dao.query().order_by("display_name")
    first = await query.after(None, 2)
    with acting_as(SYSTEM):
        await dao.purge(rows[1].id)  # the very row the cursor was made from
    await store(container, [account("x@b.c", display_name="a"), account("y@b.c", display_name="g")])
    second = await query.after(first.next_cursor, 10)
    assert [row.display_name for row in (*first.items, *second.items)] == ["b", "d", "f", "g", "h"]


async def test_pages_keep_their_conditions(container: Container) -> None:
    await store_named(container, "a1", "b1", "a2", "b2", "a3")
    query = container.user_dao().query().startswith("display_name", "a").order_by("-created_at")
    ids = await walked(query, 1)
    assert len(ids) == 3
    assert ids == await query.scalars("id")


def test_one_direction_over_columns_that_hold_values_is_one_comparison_of_rows(container: Container) -> None:
    from unitwork.dao.statements.sort_order import beyond_row, total_order

    keys = total_order(User, ["-created_at"])
    assert " < " in str(beyond_row(keys, [MOMENT, 1], User))
    assert " OR " not in str(beyond_row(keys, [MOMENT, 1], User))
    assert " OR " in str(beyond_row(total_order(User, ["-created_at", "version"]), [MOMENT, 1, 1], User))
    assert "IS NULL" in str(beyond_row(total_order(User, ["email"]), ["a", 1], User))
