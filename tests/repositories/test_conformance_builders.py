"""Builders: every operator and every last word finds in memory what it finds on a database."""

from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from sqlalchemy import and_, false, literal, not_, null, or_, true, tuple_

from domain import Role, User
from tests.repositories.conformance import Subject, on_all
from unitwork.dao import Query
from unitwork.errors import InvalidCursor, NotFound, NullComparison, TooManyRows, UnknownColumn
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

pytestmark = on_all

NAMES = ["ann", "bob", None, "a%b", "a_b", "cat\nnap", ""]
NAME, ADMIN = User.display_name, User.role == Role.ADMIN
Narrow = Callable[[Query[User]], Query[User]]

ASKED: dict[str, tuple[Narrow, list[str | None]]] = {
    "eq": (lambda q: q.eq("display_name", "ann"), ["ann"]),
    "eq by attribute": (lambda q: q.eq(NAME, "ann"), ["ann"]),
    "eq of an empty text": (lambda q: q.eq(NAME, ""), [""]),
    "filter_by": (lambda q: q.filter_by(display_name="ann", role="admin"), ["ann"]),
    "ne": (lambda q: q.ne("display_name", "ann"), ["bob", "a%b", "a_b", "cat\nnap", ""]),
    "gt": (lambda q: q.gt("created_by", 4), ["a_b", "cat\nnap", ""]),
    "ge": (lambda q: q.ge("created_by", 6), ["cat\nnap", ""]),
    "lt": (lambda q: q.lt("created_by", 2), ["ann"]),
    "le": (lambda q: q.le("created_by", 2), ["ann", "bob"]),
    "between": (lambda q: q.between("created_by", 2, 3), ["bob", None]),
    "between the wrong way round": (lambda q: q.between("created_by", 3, 2), []),
    "in_": (lambda q: q.in_("display_name", iter(["ann", "bob", "ann"])), ["ann", "bob"]),
    "in_ nothing": (lambda q: q.in_("display_name", []), []),
    "not_in": (lambda q: q.not_in("display_name", ["ann", ""]), ["bob", "a%b", "a_b", "cat\nnap"]),
    "not_in nothing": (lambda q: q.not_in("display_name", []), NAMES),
    "like": (lambda q: q.like("display_name", "a_b"), ["a%b", "a_b"]),
    "like, and any text": (lambda q: q.like("display_name", "%a%p"), ["cat\nnap"]),
    "like without a wildcard": (lambda q: q.like("display_name", "an"), []),
    "contains": (lambda q: q.contains("display_name", "%"), ["a%b"]),
    "contains nothing": (lambda q: q.contains("display_name", ""), ["ann", "bob", "a%b", "a_b", "cat\nnap", ""]),
    "startswith": (lambda q: q.startswith("display_name", "a_"), ["a_b"]),
    "is_null": (lambda q: q.is_null("display_name"), [None]),
    "is_not_null": (lambda q: q.is_not_null(NAME), ["ann", "bob", "a%b", "a_b", "cat\nnap", ""]),
    "any_of": (lambda q: q.any_of(NAME == "ann", User.created_by == 7), ["ann", ""]),
    "any_of nothing": (lambda q: q.any_of(), []),
    "an enum": (lambda q: q.eq("role", Role.ADMIN), ["ann"]),
    "an enum by its value": (lambda q: q.eq("role", "admin"), ["ann"]),
    "an enum among": (lambda q: q.in_("role", [Role.ADMIN]).in_("status", ["active"]), ["ann"]),
    "a moment": (lambda q: q.le("created_at", utc_now()).gt("created_at", datetime(2025, 1, 1, tzinfo=UTC)), NAMES),
    "or": (lambda q: q.where(or_(NAME == "bob", ADMIN)), ["ann", "bob"]),
    "and": (lambda q: q.where(and_(NAME == "ann", ADMIN)), ["ann"]),
    "several": (lambda q: q.where(User.created_by > 1, User.created_by < 3), ["bob"]),
    "not": (lambda q: q.where(not_(or_(NAME == "ann", User.created_by > 2))), ["bob"]),
    "not unknown": (
        lambda q: q.where(~and_(NAME == "ann", User.created_by > 0)),
        ["bob", "a%b", "a_b", "cat\nnap", ""],
    ),
    "unknown or true": (lambda q: q.where(or_(NAME == "none", User.created_by == 3)), [None]),
    "not in, with a null": (lambda q: q.where(NAME.not_in(["ann", None])), []),
    "in, with a null": (lambda q: q.where(NAME.in_(["ann", None])), ["ann"]),
    "is": (lambda q: q.where(NAME.is_(None), User.phone.is_(null())), [None]),
    "equals null": (lambda q: q.where(literal(None, NAME.type) == NAME), []),
    "is distinct": (lambda q: q.where(NAME.is_distinct_from("ann"), User.created_by < 4), ["bob", None]),
    "is not distinct": (lambda q: q.where(NAME.is_not_distinct_from(None)), [None]),
    "true": (lambda q: q.where(true()), NAMES),
    "false": (lambda q: q.where(false()), []),
    "columns": (
        lambda q: q.where(User.created_at == User.updated_at, User.created_by * 2 - 1 == User.created_by),
        ["ann"],
    ),
    "sums": (lambda q: q.where(User.created_by + 1 + User.created_by == 5), ["bob"]),
    "a sign": (lambda q: q.where(-User.created_by == -2), ["bob"]),
    "texts": (lambda q: q.where(NAME + "!" == "bob!"), ["bob"]),
    "between, as SQL": (lambda q: q.where(User.created_by.between(2, 3)), ["bob", None]),
    "not between": (lambda q: q.where(~User.created_by.between(2, 7)), ["ann"]),
    "not like": (lambda q: q.where(NAME.not_like("%b%")), ["ann", "cat\nnap", ""]),
    "like, escaped": (lambda q: q.where(NAME.like("a#_b", escape="#")), ["a_b"]),
    "endswith": (lambda q: q.where(NAME.endswith("b")), ["bob", "a%b", "a_b"]),
    "not contains": (lambda q: q.where(~NAME.contains("a")), ["bob", ""]),
    "tuples": (lambda q: q.where(tuple_(User.role, User.created_by) <= tuple_("user", 3)), ["ann", "bob", None]),
    "tuples with a null": (
        lambda q: q.where(tuple_(NAME, User.created_by) > tuple_("a_b", 1)),
        ["ann", "bob", "a_b", "cat\nnap"],
    ),
    "tuples among": (lambda q: q.where(tuple_(NAME, User.created_by).in_([("ann", 1), ("bob", 1)])), ["ann"]),
}


async def people(subject: Subject) -> list[User]:
    """One for each name, with its place as author; the first one is an admin."""
    rows = await subject.named(*NAMES)
    with acting_as(SYSTEM):
        for place, row in enumerate(rows, start=1):
            await subject.users.update().eq("id", row.id).set(created_by=place).execute()
        await subject.users.update().eq("id", rows[0].id).set(role=Role.ADMIN).execute()
        now = utc_now()
        await subject.users.update().all_rows().set(created_at=now, updated_at=now).execute()
    return rows


async def test_every_operator_finds_the_same(subject: Subject) -> None:
    rows = await people(subject)
    ids = {row.id: name for row, name in zip(rows, NAMES, strict=True)}
    for what, (narrow, expected) in ASKED.items():
        query = narrow(subject.users.query())
        assert [ids[id_] for id_ in await query.scalars("id")] == expected, what
        assert [row.display_name for row in await query.all()] == expected, what
        assert await query.exists() is bool(expected), what
        assert await narrow(subject.users.count()).rows() == len(expected), what  # type: ignore[arg-type,attr-defined]


async def test_what_cannot_be_asked_is_refused_alike(subject: Subject) -> None:
    query = subject.users.query()
    for word in ("eq", "ne", "gt", "ge", "lt", "le", "like", "contains", "startswith"):
        with pytest.raises(NullComparison) as null_raised:
            getattr(query, word)("email", None)
        assert (null_raised.value.column, null_raised.value.operator) == ("email", word)
    with pytest.raises(NullComparison):
        query.in_("email", ["a", None])
    with pytest.raises(UnknownColumn) as raised:
        query.eq("emial", "x")
    assert (raised.value.model, raised.value.column) == ("User", "emial")
    for name in ("emial", "-emial"):
        with pytest.raises(UnknownColumn):
            query.order_by(name)
    with pytest.raises(UnknownColumn):
        await query.scalars("emial")
    with pytest.raises(ValueError, match="naive"):
        await query.gt("created_at", datetime(2025, 1, 1)).all()  # noqa: DTZ001
    with pytest.raises(LookupError, match="none of its column's choices"):
        await query.eq("role", "emperor").all()


async def test_builders_stay_as_they_are(subject: Subject) -> None:
    await subject.named("a", "b")
    query = subject.users.query()
    narrowed = query.eq("display_name", "a").order_by("-id").limit(1)
    assert len(await query.all()) == 2
    assert len(await narrowed.all()) == 1
    assert type(narrowed) is type(query)


async def test_rows_come_in_order_with_null_last_and_the_key_as_tie_breaker(subject: Subject) -> None:
    rows = await subject.named("b", None, "a", "b", None, "a")
    place = {row.id: number for number, row in enumerate(rows)}

    async def ordered(*order: str) -> list[int]:
        query = subject.users.query()
        return [place[id_] for id_ in await (query.order_by(*order) if order else query).scalars("id")]

    assert await ordered() == [0, 1, 2, 3, 4, 5]
    assert await ordered("display_name") == [2, 5, 0, 3, 1, 4]
    assert await ordered("-display_name") == [3, 0, 5, 2, 4, 1]
    assert await ordered("display_name", "-id") == [5, 2, 3, 0, 4, 1]
    assert await ordered("-version", "display_name") == [2, 5, 0, 3, 1, 4]
    assert await ordered("role", "-created_at", "-id") == [5, 4, 3, 2, 1, 0]


async def test_limit_and_offset_cut_the_ordered_rows(subject: Subject) -> None:
    await subject.named(*"abcde")
    query = subject.users.query().order_by("-display_name")
    assert await query.limit(2).scalars("display_name") == ["e", "d"]
    assert await query.limit(2).offset(3).scalars("display_name") == ["b", "a"]
    assert [row.display_name for row in await query.offset(4).all()] == ["a"]
    assert await query.limit(0).all() == []
    assert await query.limit(0).exists() is False
    assert await query.offset(5).limit(1).exists() is False
    for refused in (query.limit, query.offset):
        with pytest.raises(ValueError, match="give 0 or more"):
            refused(-1)


async def test_first_one_and_none(subject: Subject) -> None:
    await subject.named("a", "b", "b")
    query = subject.users.query().order_by("-display_name")
    first = await query.first()
    assert first is not None
    assert first.display_name == "b"
    assert await query.limit(0).first() is None
    assert await query.eq("display_name", "z").first() is None
    assert (await query.eq("display_name", "a").one()).display_name == "a"
    assert await query.eq("display_name", "z").one_or_none() is None
    with pytest.raises(NotFound) as raised:
        await query.eq("display_name", "z").one()
    assert (raised.value.model, raised.value.id) == ("user", None)
    for ask in (query.eq("display_name", "b").one, query.eq("display_name", "b").one_or_none):
        with pytest.raises(TooManyRows) as many:
            await ask()
        assert many.value.model == "User"


async def test_scalars_and_streams_give_what_the_model_has(subject: Subject) -> None:
    rows = await subject.named("a", None)
    query = subject.users.query()
    assert await query.scalars("role") == [Role.USER, Role.USER]
    assert await query.scalars(User.created_at) == [row.created_at for row in rows]
    assert await query.scalars("deleted_at") == [None, None]
    assert [row.id async for row in query.order_by("-id").stream(chunk=1)] == [row.id for row in reversed(rows)]
    async with aclosing(query.stream(chunk=1)) as stream:
        assert [(await anext(stream)).display_name] == ["a"]


async def test_soft_deleted_rows_are_left_out_unless_asked_for(subject: Subject) -> None:
    kept, gone = await subject.named("kept", "gone")
    users = subject.users
    with acting_as(SYSTEM):
        await users.soft_delete(gone.id)
        assert await users.update().all_rows().set(phone=None).execute() == 1
        assert await users.update(include_deleted=True).all_rows().set(phone=None).execute() == 2
    assert await users.query().scalars("id") == [kept.id]
    assert await users.query(include_deleted=True).scalars("id") == [kept.id, gone.id]
    assert (await users.count().rows(), await users.count(include_deleted=True).rows()) == (1, 2)


async def test_counts(subject: Subject) -> None:
    await subject.named("a", "a", None, "b")
    count = subject.users.count()
    assert (await count.rows(), await count.column("display_name"), await count.distinct("display_name")) == (4, 3, 2)
    assert await count.ne("display_name", "a").distinct(User.display_name) == 1
    assert await count.eq("display_name", "z").rows() == 0
    assert await count.distinct("role") == 1


@pytest.mark.parametrize(
    "order", [["-display_name"], ["display_name", "-version"], ["-created_at"], ["role", "-email"], []]
)
async def test_pages_walked_to_the_end_are_the_sorted_list(subject: Subject, order: list[str]) -> None:
    await subject.named("b", None, "a", "b", None, "c", "a")
    query = subject.users.query().order_by(*order) if order else subject.users.query()
    ids: list[int] = []
    cursor = None
    while True:
        page = await query.after(cursor, 2)
        ids += [row.id for row in page.items]
        assert page.has_more is (page.next_cursor is not None)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert ids == await query.scalars("id")
    assert len(ids) == 7
    with pytest.raises(InvalidCursor):
        await query.after("nonsense", 2)
    with pytest.raises(InvalidCursor):
        await query.order_by("updated_by").after(cursor, 2)
    with pytest.raises(ValueError, match="size of 1 or more"):
        await query.after(None, 0)
