"""A connection that is taken without SQLAlchemy's proxy: where the proxy must be, it is."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.util import greenlet_spawn

from containers import Container, running
from settings import Settings
from unitwork import Lane, in_lane
from unitwork.connections.direct_checkout import DirectCheckout
from unitwork.connections.pool import Pool

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
NOBODY = 5
"""An account that there isn't."""


@pytest.fixture
async def container(settings: Settings) -> AsyncIterator[Container]:
    """A container whose one connection is open, with a plan for its statements."""
    database = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0, "pool_timeout": 1.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        for _ in range(2):
            await container.user_dao().get_or_none(NOBODY)
        yield container


def taken(container: Container) -> DirectCheckout:
    engine = container.engine().sync_engine
    assert isinstance(engine.pool, Pool)
    entry = engine.pool.take_ready()
    assert entry is not None
    return DirectCheckout(engine, engine.pool, entry)


async def test_one_that_is_given_back_is_taken_again(container: Container) -> None:
    first = taken(container)
    driver, pool = first.driver_connection, container.engine().pool
    assert isinstance(pool, Pool)
    assert (pool.checkedout(), pool.take_ready()) == (1, None)
    assert first.give_back()
    assert pool.checkedout() == 0
    assert not first.give_back()
    second = taken(container)
    assert second.driver_connection is driver
    assert second.give_back()


@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up")
async def test_a_dropped_one_is_terminated_and_told(container: Container, caplog: pytest.LogCaptureFixture) -> None:
    driver, pool = taken(container).driver_connection, container.engine().pool
    gc.collect()
    assert driver.is_closed()
    assert isinstance(pool, Pool)
    assert pool.checkedout() == 0
    assert "non-checked-in connection" in caplog.text
    assert await container.user_dao().get_or_none(NOBODY) is None


async def test_one_in_a_transaction_is_not_given_back_as_it_is(container: Container) -> None:
    checkout = taken(container)
    driver = checkout.driver_connection
    await driver.execute("BEGIN")
    assert not checkout.give_back()
    await greenlet_spawn(checkout.proxied().close)
    assert await container.user_dao().get_or_none(NOBODY) is None
    assert driver.is_closed()


@pytest.mark.parametrize("name", ["checkin", "checkout", "reset"])
async def test_who_listens_to_the_pool_hears_of_a_lone_read(container: Container, name: str) -> None:
    heard: list[str] = []

    def listener(*_: Any) -> None:
        heard.append(name)

    event.listen(container.engine().sync_engine, name, listener)
    await container.user_dao().get_or_none(NOBODY)
    assert heard == [name]
    event.remove(container.engine().sync_engine, name, listener)
    await container.user_dao().get_or_none(NOBODY)
    assert heard == [name]


async def test_it_holds_a_place_of_its_lane_until_it_is_given_back(container: Container) -> None:
    pool: Any = container.engine().pool
    lane = Lane("reads")
    with in_lane(lane, wait=1.0):
        checkout = taken(container)
        assert pool.places._held == {"reads": 1}
        assert checkout.give_back()
    assert not pool.places._held
