"""The pool keeps what it has opened until it has idled, opens a few at a time, and is open before it is needed."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.util import await_only

from containers import Container, running
from settings import Settings
from tests.patience import until
from unitwork import warm
from unitwork.connections import elastic
from unitwork.connections.elastic import MAX_DIALS
from unitwork.connections.pool import Pool

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def container_with(database_url: str, **options: Any) -> Container:
    # The monitor asks who waits for locks over a connection of its own.
    database = {"url": database_url, "lock_wait_threshold": None, **options}
    return Container(settings=Settings.model_validate({"database": database, "node_id": 1}))


def pool_of(container: Container) -> Pool:
    pool = container.engine().pool
    assert isinstance(pool, Pool)
    return pool


async def at_once(container: Container, clients: int, *, seconds: float = 0.0) -> None:
    """So many units, each of which has a connection for so long."""

    async def unit() -> None:
        async with container.session_provider()(read_only=True) as session:
            await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    await asyncio.gather(*(unit() for _ in range(clients)))


class Opened:
    """Count connections: those opened, and the most at a time."""

    def __init__(self, container: Container, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0.0) -> None:
        self.total = self.now = self.most = 0
        dialect = container.engine().sync_engine.dialect
        connect = dialect.loaded_dbapi.connect

        def counted(*arguments: Any, **options: Any) -> Any:
            self.total += 1
            self.now += 1
            self.most = max(self.most, self.now)
            if seconds:
                await_only(asyncio.sleep(seconds))
            try:
                return connect(*arguments, **options)
            finally:
                self.now -= 1

        monkeypatch.setattr(dialect.loaded_dbapi, "connect", counted)


@pytest.mark.parametrize("clients", [16, 64])
async def test_a_warm_pool_of_the_default_size_opens_nothing_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch, clients: int
) -> None:
    async with running(container_with(database_url)) as container:
        pool = pool_of(container)
        while pool.checkedin() < pool.capacity:
            await at_once(container, clients, seconds=0.2)
        opened = Opened(container, monkeypatch)
        for _ in range(1_000 // clients):
            await at_once(container, clients)
        assert opened.total == 0
        assert pool.checkedin() == pool.capacity == 15


async def test_what_has_idled_is_closed_one_by_one_down_to_the_floor(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "MIN_CLOSE_INTERVAL_SECONDS", 0.01)
    async with running(container_with(database_url, pool_size=2, max_overflow=4, pool_idle_timeout=0.3)) as container:
        pool = pool_of(container)
        await at_once(container, 6, seconds=0.3)
        assert (pool.checkedin(), pool.checkedout()) == (6, 0)
        sizes = [6]

        async def idle() -> bool:
            if pool.checkedin() != sizes[-1]:
                sizes.append(pool.checkedin())
            return sizes[-1] == 2

        await until(idle, within=10, pause=0.001)
        await asyncio.sleep(0.4)
        assert sizes == [6, 5, 4, 3, 2]
        assert pool.checkedin() == 2
        await at_once(container, 6, seconds=0.1)
        assert pool.checkedin() == 6, "and more are opened again"
    assert container_closed(pool)


def container_closed(pool: Pool) -> bool:
    """No timer goes on."""
    return pool._idle._timer is None


async def test_without_an_idle_timeout_they_are_closed_when_they_come_back(database_url: str) -> None:
    async with running(container_with(database_url, pool_size=1, max_overflow=3, pool_idle_timeout=0)) as container:
        await at_once(container, 4, seconds=0.05)
        pool = pool_of(container)
        assert (pool.checkedin(), pool.checkedout(), pool.overflow()) == (1, 0, 0)


async def test_a_burst_opens_a_few_at_a_time_and_all_are_served(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "DIAL_WAIT_SECONDS", 10.0)
    async with running(container_with(database_url)) as container:
        await at_once(container, 1)
        opened = Opened(container, monkeypatch, seconds=0.02)
        await at_once(container, 40, seconds=0.01)
        assert opened.most <= MAX_DIALS
        assert 0 < opened.total <= 14
        assert pool_of(container).checkedout() == 0


async def test_what_comes_back_is_taken_instead_of_opening_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "DIAL_WAIT_SECONDS", 10.0)
    async with running(container_with(database_url)) as container:
        await at_once(container, 1)
        opened = Opened(container, monkeypatch, seconds=0.5)
        begun = time.monotonic()
        await at_once(container, 12)
        assert opened.total < 11
        pool = pool_of(container)
        assert pool.checkedin() + pool.checkedout() == opened.total + 1
        assert time.monotonic() - begun < 8


async def test_a_server_that_does_not_answer_keeps_nobody_waiting_for_a_turn(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(container_with(database_url, pool_size=8, max_overflow=0)) as container:
        opened = Opened(container, monkeypatch, seconds=1.0)
        await at_once(container, 8)
        assert opened.most > MAX_DIALS


async def test_who_is_cancelled_while_it_waits_leaves_its_turn_to_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic, "DIAL_WAIT_SECONDS", 10.0)
    async with running(container_with(database_url, pool_size=8, max_overflow=0)) as container:
        await at_once(container, 1)
        Opened(container, monkeypatch, seconds=0.3)
        units = [asyncio.create_task(at_once(container, 1, seconds=0.2)) for _ in range(8)]
        await asyncio.sleep(0.1)
        for unit in units[4:6]:
            unit.cancel()
        done = await asyncio.gather(*units, return_exceptions=True)
        assert [type(one) for one in done] == [*[type(None)] * 4, *[asyncio.CancelledError] * 2, *[type(None)] * 2]
        pool = pool_of(container)
        await until(lambda: pool.checkedout() == 0)
        await at_once(container, 8, seconds=0.05)
        assert (pool.checkedout(), pool.overflow()) == (0, pool.checkedin() - 8)


async def test_a_warmed_pool_has_its_floor(database_url: str) -> None:
    async with running(container_with(database_url, pool_size=4)) as container:
        assert await warm(container.engine()) == 4
        assert pool_of(container).checkedin() == 4
        heard: list[object] = []
        event.listen(container.engine().sync_engine, "connect", lambda *_: heard.append(1))
        await at_once(container, 4, seconds=0.05)
        assert heard == []
