"""Conditions: every operator finds what plain Python finds."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from containers import Container
from domain import User
from tests.repositories.accounts import store_named
from unitwork.dao import BaseDao, Query
from unitwork.errors import NullComparison
from unitwork.models import SYSTEM, acting_as

TEXTS = ["", "a", "A", "ab", "b%", "%", "_", "a_b", "a%b", "\\", "a\\%", "/", "/%", "Ä", "日本", "'; --", "\U0001f600"]
NAMES: list[str | None] = [*TEXTS, "a", None, None]
Found = Callable[[str | None], bool]
Asked = tuple[Callable[[Query[User]], Query[User]], Found]

fuzzed = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def conditions(*, folds: bool) -> st.SearchStrategy[Asked]:
    """A condition on `display_name`, and what it means; `folds`: LIKE ignores the case of ASCII letters."""

    def fold(text: str) -> str:
        return "".join(letter.lower() if letter.isascii() else letter for letter in text) if folds else text

    text, several = st.sampled_from(TEXTS), st.lists(st.sampled_from(TEXTS), max_size=4)
    name = "display_name"
    return st.one_of(
        text.map(lambda x: (lambda q: q.eq(name, x), lambda v: v == x)),
        text.map(lambda x: (lambda q: q.eq(User.display_name, x), lambda v: v == x)),
        text.map(lambda x: (lambda q: q.filter_by(display_name=x), lambda v: v == x)),
        text.map(lambda x: (lambda q: q.ne(name, x), lambda v: v is not None and v != x)),
        several.map(lambda xs: (lambda q: q.in_(name, xs), lambda v: v in xs)),
        several.map(lambda xs: (lambda q: q.in_(name, iter(xs)), lambda v: v in xs)),
        several.map(lambda xs: (lambda q: q.not_in(name, xs), lambda v: not xs or (v is not None and v not in xs))),
        text.map(lambda x: (lambda q: q.contains(name, x), lambda v: v is not None and fold(x) in fold(v))),
        text.map(lambda x: (lambda q: q.startswith(name, x), lambda v: v is not None and fold(v).startswith(fold(x)))),
        st.just((lambda q: q.is_null(name), lambda v: v is None)),
        st.just((lambda q: q.is_not_null(name), lambda v: v is not None)),
        several.map(lambda xs: (lambda q: q.any_of(*(User.display_name == x for x in xs)), lambda v: v in xs)),
        text.map(lambda x: (lambda q: q.where(User.display_name == x, User.id > 0), lambda v: v == x)),
    )


@fuzzed
@given(data=st.data())
async def test_conditions_find_what_plain_python_finds(container: Container, backend: str, data: st.DataObject) -> None:
    asked = data.draw(st.lists(conditions(folds=backend == "sqlite"), min_size=1, max_size=3))
    dao = container.user_dao()
    if not await dao.count().rows():
        await store_named(container, *NAMES)
    query, count = dao.query().order_by("id"), dao.count()
    for narrow, _ in asked:
        query, count = narrow(query), narrow(count)  # type: ignore[arg-type,assignment]
    expected = [name for name in NAMES if all(holds(name) for _, holds in asked)]
    assert await query.scalars("display_name") == expected
    assert await count.rows() == len(expected)
    assert await query.exists() is bool(expected)


@fuzzed
@given(low=st.integers(-2, 12), high=st.integers(-2, 12))
async def test_comparisons_find_what_plain_python_finds(container: Container, low: int, high: int) -> None:
    dao = container.user_dao()
    if not await dao.count().rows():
        rows = await store_named(container, *(str(number) for number in range(10)))
        with acting_as(SYSTEM):
            for number, row in enumerate(rows):
                await dao.update().eq("id", row.id).set(created_by=number).execute()
    numbers = range(10)
    for asked, expected in (
        (dao.query().gt("created_by", low), [n for n in numbers if n > low]),
        (dao.query().ge("created_by", low), [n for n in numbers if n >= low]),
        (dao.query().lt("created_by", low), [n for n in numbers if n < low]),
        (dao.query().le("created_by", low), [n for n in numbers if n <= low]),
        (dao.query().between("created_by", low, high), [n for n in numbers if low <= n <= high]),
    ):
        assert await asked.order_by("created_by").scalars("created_by") == expected


async def test_wildcards_are_literal_in_contains_and_wild_in_like(container: Container) -> None:
    """Trap 12: like() wrapped, and never escaped."""
    await store_named(container, "100%", "100x", "a_b", "axb", "a/b")
    query = container.user_dao().query().order_by("id")
    assert await query.contains("display_name", "%").scalars("display_name") == ["100%"]
    assert await query.contains("display_name", "_").scalars("display_name") == ["a_b"]
    assert await query.contains("display_name", "/").scalars("display_name") == ["a/b"]
    assert await query.startswith("display_name", "a_").scalars("display_name") == ["a_b"]
    assert await query.like("display_name", "100%").scalars("display_name") == ["100%", "100x"]
    assert await query.like("display_name", "a_b").scalars("display_name") == ["a_b", "axb", "a/b"]
    assert await query.like("display_name", "00").scalars("display_name") == []


async def test_an_empty_in_matches_nothing_and_an_empty_not_in_leaves_nothing_out(container: Container) -> None:
    """Trap 11: in_([]) raised."""
    await store_named(container, "a", None)
    query = container.user_dao().query().order_by("id")
    assert await query.in_("display_name", []).all() == []
    assert await query.in_("id", set()).all() == []
    assert await query.not_in("display_name", []).scalars("display_name") == ["a", None]
    assert await query.any_of().all() == []


@pytest.mark.parametrize("word", ["eq", "ne", "gt", "ge", "lt", "le", "like", "contains", "startswith"])
def test_none_as_a_value_is_an_error_that_names_is_null(word: str) -> None:
    query = BaseDao[User](lambda **_: pytest.fail("no session is asked for"), User).query()
    with pytest.raises(NullComparison, match=rf"^{word}\('email', None\).*is_null\('email'\)"):
        getattr(query, word)("email", None)


def test_none_among_values_is_an_error_that_names_is_null() -> None:
    """Trap 11: None members vanished."""
    query = BaseDao[User](lambda **_: pytest.fail("no session is asked for"), User).query()
    asks: list[Callable[[], Any]] = [
        lambda: query.in_("email", ["a", None]),
        lambda: query.not_in("email", iter([None])),
        lambda: query.between("email", None, "b"),
        lambda: query.between("email", "a", None),
        lambda: query.filter_by(role="user", email=None),
    ]
    for ask in asks:
        with pytest.raises(NullComparison, match="is_null"):
            ask()


def test_builders_are_immutable() -> None:
    query = BaseDao[User](lambda **_: pytest.fail("no session is asked for"), User).query()
    before = str(query.statement)
    narrowed = [query.eq("email", "x"), query.order_by("-email"), query.limit(3), query.where(User.id > 1)]
    assert str(query.statement) == before
    assert len({str(builder.statement) for builder in narrowed}) == 4
    with pytest.raises(AttributeError):
        query.row_limit = 3  # type: ignore[misc]


async def test_soft_deleted_rows_are_left_out_unless_asked_for(container: Container) -> None:
    kept, gone = await store_named(container, "kept", "gone")
    dao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.soft_delete(gone.id)
    assert await dao.query().scalars("id") == [kept.id]
    assert await dao.count().rows() == 1
    assert not await dao.query().eq("id", gone.id).exists()
    assert await dao.query(include_deleted=True).scalars("id") == [kept.id, gone.id]
    assert await dao.count(include_deleted=True).rows() == 2
    assert await dao.query(include_deleted=True).is_not_null("deleted_at").scalars("id") == [gone.id]
