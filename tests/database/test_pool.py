"""Pool: a full one is a typed error, a dead connection is replaced."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text

from containers import Container, running
from settings import Settings
from unitwork.errors import ConnectionLost, PoolTimeout


def container_with(database_url: str, **options: Any) -> Container:
    return Container(settings=Settings(database={"url": database_url, "max_overflow": 0, **options}))


async def pid(container: Container) -> int:
    async with container.session_provider()(read_only=True) as session:
        return int(await session.scalar(text("SELECT pg_backend_pid()")) or 0)


async def kill(database_url: str, victim: int) -> None:
    connection = await asyncpg.connect(make_url(database_url).render_as_string(hide_password=False))
    try:
        assert await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", victim)
    finally:
        await connection.close()


async def test_a_full_pool_is_an_error_that_tells_its_size_and_how_long_it_waited(database_url: str) -> None:
    async with running(container_with(database_url, pool_size=1, pool_timeout=0.2)) as container:
        provider = container.session_provider()

        async def second() -> None:
            # An engine connection, not a session: a session would join the block around it.
            async with container.engine().connect():
                pytest.fail("there is one connection, and it is taken")

        async with provider(read_only=True) as session:
            await session.execute(text("SELECT 1"))
            began = time.monotonic()
            with pytest.raises(PoolTimeout, match=r"within 0\.2 s; all 1 are in use.*pool_size") as raised:
                await second()
            assert 0.15 < time.monotonic() - began < 3
        assert (raised.value.size, raised.value.timeout) == (1, 0.2)
        assert raised.value.retry_after > 0
        async with provider(read_only=True) as session:
            assert await session.scalar(text("SELECT 1")) == 1
        assert container.schema().connections_in_use == 0


async def test_one_connection_is_enough_for_one_after_the_other(database_url: str) -> None:
    """Trap 3: DAOs inside a transaction took connections of their own."""
    async with running(container_with(database_url, pool_size=1, pool_timeout=0.2)) as container:
        async with container.transaction()():
            for _ in range(5):
                assert await container.user_dao().count().rows() == 0
                assert not await container.token_dao().query().exists()
        for _ in range(5):
            assert await container.user_dao().query().all() == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_that_died_while_idle_is_replaced_unseen(database_url: str) -> None:
    async with running(container_with(database_url, pool_size=1, ping_after_idle=0)) as container:
        victim = await pid(container)
        assert await pid(container) == victim
        await kill(database_url, victim)
        assert await pid(container) not in {0, victim}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_whose_end_the_driver_has_heard_of_is_replaced_unseen(database_url: str) -> None:
    """As after a restart of the server: no ping, no error."""
    async with running(container_with(database_url, pool_size=1, ping_after_idle=1000)) as container:
        victim = await pid(container)
        await kill(database_url, victim)
        assert await pid(container) not in {0, victim}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_connection_that_died_unheard_in_steady_use_is_an_error_once(database_url: str) -> None:
    async with running(container_with(database_url, pool_size=1, ping_after_idle=1000)) as container:
        victim = await pid(container)
        # The blocked loop can't hear of it.
        with ThreadPoolExecutor() as threads:
            threads.submit(asyncio.run, kill(database_url, victim)).result()
        with pytest.raises(ConnectionLost):
            await pid(container)
        assert await pid(container) not in {0, victim}
        assert container.schema().connections_in_use == 0


@pytest.mark.parametrize(("idle", "pings"), [(0, 2), (1000, 0)])
async def test_a_connection_is_pinged_only_after_it_idled(
    database_url: str, idle: float, pings: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 39: every read cost a ping."""
    async with running(container_with(database_url, pool_size=1, ping_after_idle=idle)) as container:
        dialect, counted = container.engine().sync_engine.dialect, 0
        ping = dialect.do_ping

        def count(connection: Any) -> bool:
            nonlocal counted
            counted += 1
            return bool(ping(connection))

        monkeypatch.setattr(dialect, "do_ping", count)
        for _ in range(3):
            await container.user_dao().count().rows()
        assert counted == pings
