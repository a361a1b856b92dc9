"""Random rows and random questions: memory and a database give the same ids."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import and_, delete, not_, or_, tuple_

from containers import Container
from domain import Role, User
from repositories import UserDao
from tests.fakes import over_fakes
from tests.repositories.accounts import account
from unitwork.dao import Query
from unitwork.models import SYSTEM, acting_as

Narrow = Callable[[Any], Any]

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
# Of one case and one length: what LIKE makes of case, and a collation of a prefix, is not this test's question.
TEXT = st.sampled_from(["aa", "ab", "a%", "b_", "_a"])
PATTERN = st.text("ab%_", max_size=3)
NUMBER = st.integers(-2, 3)
TIME = st.sampled_from([MOMENT, MOMENT + timedelta(microseconds=1), MOMENT + timedelta(days=1)])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "display_name": TEXT,
    "created_by": NUMBER,
    "updated_by": NUMBER,
    "created_at": TIME,
    "deleted_at": TIME,
    "role": st.sampled_from(Role),
}
ROWS = st.lists(
    st.fixed_dictionaries(
        VALUES | {"display_name": st.none() | TEXT, "deleted_at": st.none() | TIME, "email": st.booleans()}
    ),
    max_size=8,
)


def comparison() -> st.SearchStrategy[Any]:
    """A SQL expression on one column."""

    def on(name: str) -> st.SearchStrategy[Any]:
        column, value = getattr(User, name), VALUES[name]
        several = st.lists(value | st.none(), max_size=3)
        return st.one_of(
            value.map(lambda x: column == x),
            value.map(lambda x: column != x),
            value.map(lambda x: column < x),
            value.map(lambda x: column >= x),
            several.map(column.in_),
            several.map(column.not_in),
            st.tuples(value, value).map(lambda ends: column.between(*ends)),
            st.just(column.is_(None)),
            value.map(column.is_distinct_from),
        )

    numbers = st.tuples(NUMBER, NUMBER).map(lambda n: User.created_by + n[0] * User.updated_by <= n[1])
    texts = PATTERN.map(User.display_name.like) | PATTERN.map(lambda x: User.display_name.contains(x, autoescape=True))
    keys = tuple_(User.created_at, User.created_by)
    rows = st.tuples(TIME, NUMBER).map(lambda row: keys < tuple_(*row, types=[key.type for key in keys.clauses]))
    return st.one_of(*map(on, VALUES), numbers, texts, rows)


EXPRESSION = st.recursive(
    comparison(),
    lambda part: st.one_of(
        part.map(not_),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: and_(*parts)),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: or_(*parts)),
    ),
    max_leaves=5,
)


def step() -> st.SearchStrategy[Narrow]:
    """One word of a builder."""

    def word(name: str) -> st.SearchStrategy[Narrow]:
        value = VALUES[name]
        return st.one_of(
            st.tuples(st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), value).map(
                lambda asked: lambda builder: getattr(builder, asked[0])(name, asked[1])
            ),
            st.lists(value, max_size=3).map(lambda values: lambda builder: builder.in_(name, values)),
            st.lists(value, max_size=3).map(lambda values: lambda builder: builder.not_in(name, values)),
            st.just(lambda builder: builder.is_null(name)),
        )

    return st.one_of(
        *map(word, VALUES),
        PATTERN.map(lambda x: lambda builder: builder.startswith("display_name", x)),
        st.lists(EXPRESSION, max_size=2).map(lambda parts: lambda builder: builder.any_of(*parts)),
        EXPRESSION.map(lambda part: lambda builder: builder.where(part)),
    )


ORDER = st.lists(st.sampled_from([sign + name for name in VALUES for sign in ("", "-")]), min_size=1, max_size=3)
CHANGE = st.sampled_from(
    [
        lambda update: update.set(display_name="new", role="admin"),
        lambda update: update.increment("created_by", 2).set(deleted_at=None),
        lambda update: update.set(created_by=User.updated_by, updated_by=User.created_by),
    ]
)


async def rows_of(dao: UserDao) -> list[Any]:
    names = [*VALUES, "id", "version"]
    return [[getattr(row, name) for name in names] for row in await dao.query(include_deleted=True).all()]


async def walked(query: Query[User], size: int) -> list[int]:
    ids, page = [], await query.after(None, size)
    while True:
        ids += [row.id for row in page.items]
        if page.next_cursor is None:
            return ids
        page = await query.after(page.next_cursor, size)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
@hypothesis_settings(
    max_examples=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=ROWS,
    steps=st.lists(step(), max_size=3),
    order=ORDER,
    size=st.integers(1, 4),
    offset=st.integers(0, 3),
    deleted=st.booleans(),
    change=CHANGE,
)
async def test_memory_and_a_database_give_the_same_answers(
    container: Container,
    rows: list[dict[str, Any]],
    steps: list[Narrow],
    order: list[str],
    size: int,
    offset: int,
    deleted: bool,
    change: Narrow,
) -> None:
    answers: list[list[Any]] = []
    for place in (over_fakes()[0], container):
        dao = place.user_dao()
        query, count = dao.query(include_deleted=deleted), dao.count(include_deleted=deleted)
        update = dao.update(include_deleted=deleted)
        for narrow in steps:
            query, count, update = narrow(query), narrow(count), narrow(update)
        query = query.order_by(*order)
        with acting_as(SYSTEM):
            async with place.transaction()() as tx:
                if place is container:
                    await tx.session.execute(delete(User))
                for number, row in enumerate(rows, start=1):
                    email = f"{number}@b.c" if row["email"] else None
                    values = {name: row[name] for name in VALUES}
                    tx.session.add(account(email, id=number, phone=f"+1415555{number:04}", **values))
            told = [
                await query.scalars("id"),
                await query.limit(size).offset(offset).scalars("id"),
                await query.exists(),
                await walked(query, size),
                [await count.rows(), await count.column("display_name"), await count.distinct("created_at")],
                await change(update).all_rows().execute(),
            ]
        answers.append([*told, await rows_of(dao)])
    assert answers[0] == answers[1]
