"""Slices both ways and pages with a total: what they hold is the sorted list, whatever comes and goes meanwhile."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete

from containers import Container
from domain import User
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from unitwork.dao import Page, Query
from unitwork.errors import InvalidCursor
from unitwork.models import SYSTEM, acting_as

NAME = st.none() | st.sampled_from(["aa", "ab", "bb"])
ORDER = st.lists(st.sampled_from(["display_name", "created_by", "updated_by"]), min_size=1, max_size=3, unique=True)
ORDERS = ORDER.flatmap(lambda names: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in names)).map(list))
ROW = st.tuples(NAME, st.integers(0, 2), st.integers(0, 2))


async def backward(query: Query[User], cursor: str | None, size: int) -> list[int]:
    """The ids of every slice from here to the beginning, in order."""
    ids: list[int] = []
    while True:
        found = await query.before(cursor, size)
        ids = [row.id for row in found.items] + ids
        assert found.has_more is (found.previous_cursor is not None)
        if found.previous_cursor is None:
            return ids
        cursor = found.previous_cursor


def placed(row: Any, order: list[str]) -> list[Any]:
    """Where plain Python sorts the row."""
    key: list[Any] = []
    for name in [*order, ("-" if order[-1].startswith("-") else "") + "id"]:
        value, sign = getattr(row, name.removeprefix("-")), -1 if name.startswith("-") else 1
        numbers = [0] if value is None else [ord(letter) for letter in value] if isinstance(value, str) else [value]
        key.append((value is None, [sign * number for number in numbers]))
    return key


def new(number: int, row: tuple[Any, int, int]) -> User:
    name, created_by, updated_by = row
    return account(f"{number:04}@b.c", id=number, display_name=name, created_by=created_by, updated_by=updated_by)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    rows=st.lists(ROW, max_size=8),
    order=ORDERS,
    size=st.integers(1, 3),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 7), ROW), max_size=4),
)
async def test_slices_both_ways_miss_and_repeat_nothing_while_rows_come_and_go(
    container: Container,
    rows: list[tuple[Any, int, int]],
    order: list[str],
    size: int,
    changes: list[tuple[bool, int, tuple[Any, int, int]]],
) -> None:
    dao = container.user_dao()
    with acting_as(SYSTEM):
        async with container.transaction()() as tx:
            await tx.session.execute(delete(User))
            there = {number: new(number, row) for number, row in enumerate(rows, start=1)}
            await dao.add_many(list(there.values()))
        query = dao.query().order_by(*order)
        in_order = [row.id for row in sorted(there.values(), key=lambda row: placed(row, order))]
        assert await backward(query, None, size) == in_order

        always, seen, seen_at_all, cursor = set(there), [], dict(there), None
        pending = list(changes)
        while True:
            found = await query.after(cursor, size)
            seen += [row.id for row in found.items]
            assert found.has_more is (found.next_cursor is not None)
            if found.items and cursor is not None:
                earlier = (await query.before(found.previous_cursor, 1)).items
                before = [id_ for id_ in seen[: -len(found.items)] if id_ in there]
                if before and not changes:
                    assert [row.id for row in earlier] == before[-1:]
            if found.next_cursor is None:
                break
            cursor = found.next_cursor
            if pending:
                added, which, row = pending.pop()
                if added or not there:
                    number = 1000 + len(pending)
                    there[number] = seen_at_all[number] = new(number, row)
                    await dao.add(there[number])
                else:
                    gone = sorted(there)[which % len(there)]
                    del there[gone]
                    always.discard(gone)
                    await dao.purge(gone)
        assert len(seen) == len(set(seen)), "nothing is repeated"
        assert always <= set(seen), "nothing that was always there is skipped"
        assert seen == [r.id for r in sorted((seen_at_all[i] for i in seen), key=lambda row: placed(row, order))]


@on_all
async def test_a_slice_of_nothing_leads_back_to_where_it_came_from(subject: Subject) -> None:
    rows = await subject.named(*"abcd")
    users = subject.users
    query = users.query().order_by("-display_name")
    first = await query.after(None, 2)
    assert (first.previous_cursor, [row.display_name for row in first.items]) == (None, ["d", "c"])
    with acting_as(SYSTEM):
        await users.purge(rows[0].id)
        await users.purge(rows[1].id)
    nothing = await query.after(first.next_cursor, 2)
    assert (list(nothing.items), nothing.next_cursor, nothing.has_more) == ([], None, False)
    back = await query.before(nothing.previous_cursor, 9)
    assert ([row.display_name for row in back.items], back.has_more) == (["d", "c"], False)
    last = await query.before(None, 1)
    assert ([row.display_name for row in last.items], last.next_cursor, last.has_more) == (["c"], None, True)
    earlier = await query.before(last.previous_cursor, 5)
    assert ([row.display_name for row in earlier.items], earlier.previous_cursor) == (["d"], None)
    again = await query.after(earlier.next_cursor, 5)
    assert [row.display_name for row in again.items] == ["c"]
    with pytest.raises(InvalidCursor):
        await query.before("nonsense", 2)
    with pytest.raises(InvalidCursor):
        await query.order_by("display_name").before(last.previous_cursor, 2)


@on_all
async def test_a_page_knows_the_number_of_all_rows(subject: Subject) -> None:
    await subject.named("a", "b", None, "c", "d")
    query = subject.users.query().is_not_null("display_name").order_by("-display_name")
    pages = [await query.page(number, 3) for number in (1, 2, 3)]
    assert [[row.display_name for row in page.items] for page in pages] == [["d", "c", "b"], ["a"], []]
    assert [page.total for page in pages] == [4, 4, 4]
    assert await query.eq("display_name", "z").page(1, 3) == Page([], 0)
    assert (await query.eq("display_name", "z").page(4, 3)).total == 0
    for page, size in ((0, 3), (1, 0)):
        with pytest.raises(ValueError, match=r"give a size of 1 or more|the first page is 1"):
            await query.page(page, size)


@on_all
async def test_a_limit_beside_a_pages_own_size_is_refused(subject: Subject) -> None:
    for query in (subject.users.query().limit(5), subject.users.query().offset(1)):
        for ask in (lambda: query.page(1, 3), lambda: query.after(None, 3), lambda: query.before(None, 3)):  # noqa: B023
            with pytest.raises(ValueError, match=r"leave out limit\(\) and offset\(\)"):
                await ask()


@on_all
async def test_an_order_takes_names_attributes_and_directions(subject: Subject) -> None:
    await subject.named("a", "b", "b")
    query = subject.users.query()
    for order in (["-display_name", "id"], [User.display_name.desc(), User.id], [User.display_name.desc(), "id"]):
        assert await query.order_by(*order).scalars(User.display_name) == ["b", "b", "a"]
    assert await query.order_by(User.display_name).distinct().scalars("display_name") == ["a", "b"]
    assert await query.order_by("-display_name").distinct().limit(1).scalars("display_name") == ["b"]
    assert len(await query.distinct().all()) == 3
    with pytest.raises(TypeError, match="ordered by columns of their model"):
        query.order_by((User.id + 1).desc())
