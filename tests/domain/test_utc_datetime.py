"""UTCDateTime: a moment comes back as it went in, on every database."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from containers import Container
from domain import User
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import UTCDateTime, utc_now

MOMENTS = Table("moments", MetaData(), Column("id", Integer, primary_key=True), Column("moment", UTCDateTime))
ZONES = st.sampled_from([UTC, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/New_York"), timezone(timedelta(hours=-12))])


def test_now_is_aware_and_utc() -> None:
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=5)


@hypothesis_settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(
        st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001
        min_size=1,
        max_size=50,
    )
)
async def test_any_moment_of_any_zone_comes_back_as_the_same_moment_in_utc(
    container: Container, moments: list[datetime]
) -> None:
    """Trap 8: moments were stripped of their zone, not converted."""
    async with container.engine().begin() as connection:
        await connection.run_sync(MOMENTS.create)
        rows = [{"id": number, "moment": moment} for number, moment in enumerate(moments)]
        await connection.execute(insert(MOMENTS), rows)
        found = (await connection.scalars(select(MOMENTS.c.moment).order_by(MOMENTS.c.id))).all()
        in_order = (await connection.scalars(select(MOMENTS.c.moment).order_by(MOMENTS.c.moment))).all()
        counted = [
            len((await connection.scalars(select(MOMENTS.c.id).where(MOMENTS.c.moment == moment))).all())
            for moment in moments[:3]
        ]
        await connection.run_sync(MOMENTS.drop)
    expected = [moment.astimezone(UTC) for moment in moments]
    assert found == expected
    assert {moment.tzinfo for moment in found if moment is not None} == {UTC}
    assert in_order == sorted(expected)
    assert counted == [expected.count(moment.astimezone(UTC)) for moment in moments[:3]]


async def test_microseconds_are_kept_and_none_stays_none(container: Container) -> None:
    moment = datetime(2026, 3, 29, 1, 59, 59, 999_999, tzinfo=ZoneInfo("Europe/Berlin"))
    with acting_as(SYSTEM):
        user = await container.user_dao().add(User(email="a@b.c", email_key="a@b.c", created_at=moment))
    found = await container.user_dao().get(user.id)
    assert found.created_at == moment
    assert found.created_at.isoformat() == "2026-03-29T00:59:59.999999+00:00"
    assert found.deleted_at is None


async def test_a_naive_moment_is_refused_in_writes_and_in_conditions(container: Container) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    dao = container.user_dao()
    with acting_as(SYSTEM):
        with pytest.raises(ValueError, match="time zone"):
            await dao.add(User(email="a@b.c", email_key="a@b.c", created_at=naive))
        with pytest.raises(ValueError, match="time zone"):
            await dao.update().eq("id", 1).set(deleted_at=naive).execute()
    with pytest.raises(ValueError, match="time zone"):
        await dao.query().gt("created_at", naive).all()
    assert await dao.count().rows() == 0
