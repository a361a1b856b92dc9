"""The private server itself: stopped and started on its port with what it holds, and hurt backend by backend."""

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.faults.private_postgresql import PrivatePostgresql, Shutdown
from tests.faults.waiting import until


@pytest.mark.parametrize("shutdown", ["fast", "immediate"])
async def test_stopped_and_started_it_keeps_its_port_and_what_it_holds(
    private_postgresql: PrivatePostgresql, shutdown: Shutdown
) -> None:
    await private_postgresql.ask(f"CREATE TABLE kept_{shutdown} (id int)")
    await asyncio.to_thread(private_postgresql.stop, shutdown)
    with pytest.raises(ConnectionRefusedError):
        await private_postgresql.ask("SELECT 1")
    await asyncio.to_thread(private_postgresql.start)
    assert await private_postgresql.ask(f"SELECT count(*) FROM kept_{shutdown}") == 0
    await private_postgresql.ask(f"DROP TABLE kept_{shutdown}")


async def test_a_frozen_backend_hangs_until_it_is_thawed(private_postgresql: PrivatePostgresql) -> None:
    connection: Any = await asyncpg.connect(private_postgresql.url())
    try:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        assert pid in await private_postgresql.backends()
        with private_postgresql.frozen(pid):
            answer = asyncio.create_task(connection.fetchval("SELECT 1"))
            await asyncio.wait((answer,), timeout=0.3)
            assert not answer.done()
        assert await answer == 1
    finally:
        await connection.close()


@pytest.mark.parametrize("how", ["terminated", "killed"])
async def test_an_ended_backend_breaks_its_connection(private_postgresql: PrivatePostgresql, how: str) -> None:
    connection: Any = await asyncpg.connect(private_postgresql.url())
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    if how == "terminated":
        assert await private_postgresql.terminate(pid)
    else:
        private_postgresql.kill(pid)
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        async with asyncio.timeout(10):
            await connection.fetchval("SELECT pg_sleep(10)")
    assert await until(lambda: _answers(private_postgresql), within=10)
    assert pid not in await private_postgresql.backends()


async def _answers(server: PrivatePostgresql) -> bool:
    try:
        return bool(await server.ask("SELECT true"))
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
        return False
