"""What goes into a column comes out of it, on every database and by every way to write (trap 19)."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from containers import Container
from tests.repositories.conformance import Subject
from tests.repositories.shelves import Genre, Keepsake
from unitwork.dao import BaseDao

pytestmark = pytest.mark.usefixtures("acting")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | texts
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.uuids(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
moments = st.datetimes(
    datetime(1000, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - as above
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
rows = st.fixed_dictionaries(
    {
        "document": documents,
        # SQLite has no decimal numbers: what it keeps is a float, good for 15 digits.
        "amount": st.none() | st.decimals(-(10**8), 10**8, places=6),
        "moment": st.none() | moments,
        "genre": st.none() | st.sampled_from(Genre),
        "token": st.none() | st.uuids(version=4),  # MariaDB refuses what no version and variant is of
        "data": st.none() | st.binary(max_size=40),
        "words": st.none() | texts,
    }
)
AWKWARD: list[dict[str, Any]] = [
    {"document": {"a": [1, {"ü": "\U0001f600\\'\""}], "n": 10**25, "d": Decimal("1.10"), "x": math.nan}},
    {"document": 0.0, "amount": Decimal("-99999999.999999"), "data": bytes(range(256))},
    {"document": [], "moment": datetime(2024, 2, 29, 23, 59, 59, 999_999, timezone(timedelta(hours=-9.5)))},
    {"genre": Genre.POETRY, "token": UUID(int=2**128 - 1), "words": "a\\b'c\"d%s%(x)s :y ?\n\t "},
    {"data": b"\0\\'\xff" * 40_000, "words": "é" * 70_000, "document": "\\"},
]


def same(stored: Any, given_: Any) -> bool:
    """Equal in value and type, NaN to itself."""
    if isinstance(given_, dict):
        return (
            isinstance(stored, dict)
            and stored.keys() == given_.keys()
            and all(same(stored[key], value) for key, value in given_.items())
        )
    if isinstance(given_, list):
        return isinstance(stored, list) and len(stored) == len(given_) and all(map(same, stored, given_))
    if isinstance(given_, float) and math.isnan(given_):
        return isinstance(stored, float) and math.isnan(stored)
    if isinstance(given_, UUID):
        return isinstance(stored, UUID) and stored == given_  # asyncpg has a class of its own
    return type(stored) is type(given_) and bool(stored == given_)


def check(row: Keepsake, values: dict[str, Any]) -> None:
    for name, value in values.items():
        assert same(getattr(row, name), value), (name, getattr(row, name), value)
    if row.moment is not None:
        assert row.moment.tzinfo is UTC


@pytest.fixture
async def dao(container: Container, backend: str) -> BaseDao[Keepsake]:
    subject = Subject(backend, container)
    await subject.with_shelves()
    return subject.dao(Keepsake)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=rows)
async def test_any_value_comes_back_by_every_way_it_was_written(dao: BaseDao[Keepsake], values: dict[str, Any]) -> None:
    flushed = await dao.add(Keepsake(**values))
    check(await dao.get(flushed.id), values)
    in_bulk = flushed.id + 1
    await dao.add_many([{"id": in_bulk, **values}])
    check(await dao.get(in_bulk), values)
    given_ = {name: value for name, value in values.items() if value is not None}
    blank = await dao.add(Keepsake())
    await dao.upsert_many([{"id": blank.id, **values}], on="id")
    check(await dao.get(blank.id), given_)
    if given_:
        await dao.update().eq("id", (await dao.add(Keepsake())).id).set(**given_).execute()
        latest = await dao.query().order_by("-id").first()
        assert latest is not None
        check(latest, given_)


async def test_awkward_values_come_back_from_copies_and_statements(dao: BaseDao[Keepsake]) -> None:
    for copies in (1, 300):
        marked = [{**values, "id": number + 1} for number, values in enumerate(AWKWARD * copies)]
        await dao.add_many(
            marked[:-1] if copies == 1 else ({**one, "id": one["id"] + 1_000} for one in marked if one["id"] % 5)
        )
    found = await dao.query().all()
    assert len(found) == 4 + 1_200
    for row in found:
        check(row, AWKWARD[(row.id - 1) % 5 if row.id < 1_000 else (row.id - 1_001) % 5])
    long = await dao.add(Keepsake(**AWKWARD[4]))
    check(await dao.get(long.id), AWKWARD[4])


async def test_a_decimal_of_any_length_comes_back_where_the_database_has_them(
    dao: BaseDao[Keepsake], backend: str
) -> None:
    amount = Decimal("-123456789012345678.123456")
    await dao.add_many([{"amount": amount}, {"amount": -amount}])
    if backend != "sqlite":
        assert await dao.query().scalars("amount") == [amount, -amount]
