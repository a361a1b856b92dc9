"""JSON that comes back as it went in, through Python and through a column of each database."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Column, Integer, MetaData, Table, insert, select

from containers import Container
from unitwork.backends.json_codec import dumps, loads

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-12))])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    TEXT,
    st.decimals(allow_nan=False),
    st.datetimes(),
    st.datetimes(timezones=ZONES),
    st.dates(),
    st.times(),
    st.uuids(),
)
KEYS = TEXT | st.sampled_from(["$decimal", "$datetime", "$date", "$time", "$uuid", "$float", "$object"])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)
DOCUMENTS = Table("documents", MetaData(), Column("id", Integer, primary_key=True), Column("document", JSON))


def typed(value: Any) -> Any:
    """The value with its types, so that 1, 1.0, True and Decimal(1) differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    offset = value.utcoffset() if isinstance(value, datetime) else None
    return type(value), str(value), offset


@given(VALUES)
@example({"$decimal": "x"})
@example({"$object": {"$object": {}}})
@example([{"$float": "NaN"}, -0.0, 1e300, 2**70])
@example(Decimal("1.10"))
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    """Trap 19: microseconds, Decimal and NaN were lost."""
    assert typed(loads(dumps(value))) == typed(value)


@given(VALUES)
def test_what_is_written_is_json_for_everybody(value: Any) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    json.loads(dumps(value), parse_constant=refuse)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, Decimal("NaN"), Decimal("-Infinity")])
def test_what_json_lacks_among_numbers_comes_back(value: float | Decimal) -> None:
    assert repr(loads(dumps([value]))) == repr([value])


def test_plain_values_are_plain_json() -> None:
    assert dumps({"a": [1, "é", None, True, 1.5]}) == '{"a":[1,"é",null,true,1.5]}'
    assert dumps((1, 2)) == "[1,2]"
    assert dumps(Decimal("1.10")) == '{"$decimal":"1.10"}'
    assert dumps({"$uuid": 1, "b": 2}) == '{"$uuid":1,"b":2}'


@pytest.mark.parametrize(
    ("value", "named"),
    [({1: 2}, "int"), ({1, 2}, "set"), (b"x", "bytes"), (object(), "object"), ([{"a": 1j}], "complex")],
)
def test_what_can_not_come_back_is_refused_by_its_type(value: object, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        dumps(value)


@hypothesis_settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(VALUES, min_size=20, max_size=40))
@example(
    [
        {"amount": Decimal("0.1"), "at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "day": date(2026, 1, 1)},
        {"$decimal": "mine", "nul": "\x00", "hour": time(1, 2, 3, 4), "id": UUID(int=7), "inf": math.inf},
    ]
)
async def test_any_value_comes_back_from_a_json_column(container: Container, values: list[Any]) -> None:
    """Trap 19: JSON was encoded twice on SQLite."""
    # In a list: a number on its own is what the next test is about.
    values = [[value] for value in values]
    async with container.engine().begin() as connection:
        await connection.run_sync(DOCUMENTS.create)
        await connection.execute(insert(DOCUMENTS), [{"id": n, "document": value} for n, value in enumerate(values)])
        found = (await connection.scalars(select(DOCUMENTS.c.document).order_by(DOCUMENTS.c.id))).all()
        raw = (await connection.exec_driver_sql("SELECT CAST(document AS TEXT) FROM documents ORDER BY id")).scalars()
        texts = list(raw)
        await connection.run_sync(DOCUMENTS.drop)
    assert typed(list(found)) == typed(values)
    assert [typed(loads(text)) for text in texts] == typed(values)


async def test_a_number_on_its_own_comes_back_from_a_json_column(container: Container) -> None:
    values = [0.0, 1, 2**70, 9.225670565932468e18, Decimal("1.10"), math.inf, True]
    async with container.engine().begin() as connection:
        await connection.run_sync(DOCUMENTS.create)
        await connection.execute(insert(DOCUMENTS), [{"id": n, "document": value} for n, value in enumerate(values)])
        found = (await connection.scalars(select(DOCUMENTS.c.document).order_by(DOCUMENTS.c.id))).all()
    assert typed(list(found)) == typed(values)
