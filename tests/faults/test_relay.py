"""The relay itself: what it delays, holds back, cuts and counts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.faults.relay import COMMIT, Moment, Relay
from unitwork.testing.servers.postgresql import POSTGRESQL_URL


@pytest.fixture
def relay() -> Iterator[Relay]:
    server = make_url(os.environ[POSTGRESQL_URL])
    with Relay(server.host or "127.0.0.1", server.port or 5432) as relay:
        yield relay


@pytest.fixture
async def connection(relay: Relay) -> AsyncIterator[Any]:
    url = make_url(os.environ[POSTGRESQL_URL]).set(drivername="postgresql", host="127.0.0.1", port=relay.port)
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    yield connection
    connection.terminate()


async def test_it_counts_round_trips(relay: Relay, connection: Any) -> None:
    before = relay.round_trips
    for _ in range(3):
        await connection.execute("SELECT 1;")
    assert relay.round_trips - before == 3


async def test_it_delays(relay: Relay, connection: Any) -> None:
    relay.delay = 0.1
    begun = time.perf_counter()
    await connection.execute("SELECT 1;")
    assert time.perf_counter() - begun >= 0.2


async def test_paused_nothing_passes_until_it_is_resumed(relay: Relay, connection: Any) -> None:
    relay.pause()
    answer = asyncio.create_task(connection.fetchval("SELECT 1"))
    await asyncio.wait((answer,), timeout=0.3)
    assert not answer.done()
    relay.resume()
    assert await answer == 1


async def test_a_cut_is_seen_at_once(relay: Relay, connection: Any) -> None:
    relay.cut()
    with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        async with asyncio.timeout(5):
            await connection.execute("SELECT pg_sleep(5);")


@pytest.mark.parametrize(("moment", "stored"), [(Moment.BEFORE, False), (Moment.AFTER, True), (Moment.AT_ONCE, None)])
async def test_cut_around_a_commit_its_answer_never_arrives(
    relay: Relay, connection: Any, moment: Moment, stored: bool | None
) -> None:
    xid = None
    relay.cut_at(COMMIT, moment)
    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        async with asyncio.timeout(5), connection.transaction():
            xid = await connection.fetchval("SELECT pg_current_xact_id()::text")
    assert relay.cuts == 1
    url = make_url(os.environ[POSTGRESQL_URL]).set(drivername="postgresql")
    direct = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        async with asyncio.timeout(5):
            status = "in progress"
            while status == "in progress":
                status = await direct.fetchval("SELECT pg_xact_status($1::text::xid8)", xid)
    finally:
        await direct.close()
    assert status in {"committed", "aborted"}
    assert stored is None or (status == "committed") is stored
