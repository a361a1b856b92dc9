"""Several hosts in a URL, and one address that moves: whose connections the pool holds, and what it refuses to hold."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import text

from tests.faults.fixtures import Pair
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.relay import Relay
from tests.patience import until
from unitwork import Database, DatabaseOptions
from unitwork.errors import DatabaseUnavailable, NotPrimary

COMES_WITHIN: Final = 20.0
"""Seconds."""


def over(*servers: PrivatePostgresql, **more: str) -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    parameters = "&".join(f"{name}={value}" for name, value in more.items())
    return f"postgresql://postgres@{hosts}/postgres?{parameters}"


def by_parameters(*servers: PrivatePostgresql) -> str:
    ports = ",".join(str(server.port) for server in servers)
    return f"postgresql://postgres@/postgres?host={','.join(['127.0.0.1'] * len(servers))}&port={ports}"


async def port(database: Database) -> int:
    """Server that a unit that may write is sent to."""
    async with database.transaction() as transaction:
        return int((await transaction.session.execute(text("SELECT current_setting('port')::int"))).scalar_one())


@pytest.fixture
def other() -> Iterator[PrivatePostgresql]:
    """A server of another system."""
    with PrivatePostgresql() as server:
        yield server


@pytest.mark.parametrize("spelled", [over, by_parameters])
async def test_the_primary_is_found_wherever_it_stands(pair: Pair, spelled: Any) -> None:
    async with Database(spelled(pair.standby, pair.primary)) as database:
        assert await port(database) == pair.primary.port


async def test_a_host_that_hangs_blocks_no_other(pair: Pair) -> None:
    pair.standby.freeze(pair.standby.postmaster)
    async with Database(DatabaseOptions(over(pair.standby, pair.primary), connect_timeout=2)) as database:
        async with asyncio.timeout(COMES_WITHIN):
            assert await port(database) == pair.primary.port


async def test_hosts_that_are_all_away_are_all_named(pair: Pair) -> None:
    await asyncio.to_thread(pair.standby.stop)
    await asyncio.to_thread(pair.primary.stop)
    async with Database(over(pair.primary, pair.standby)) as database:
        with pytest.raises(DatabaseUnavailable) as told:
            await port(database)
    for server in (pair.primary, pair.standby):
        assert f"127.0.0.1:{server.port}: connection refused" in str(told.value)


async def test_standbys_alone_are_read_from_unless_a_primary_is_demanded(pair: Pair) -> None:
    await asyncio.to_thread(pair.primary.stop)
    async with Database(over(pair.primary, pair.standby)) as database:
        assert await port(database) == pair.standby.port
    async with Database(over(pair.primary, pair.standby, target_session_attrs="primary")) as database:
        with pytest.raises(NotPrimary, match=f"127.0.0.1:{pair.standby.port} is a standby"):
            await port(database)


async def test_a_standby_can_be_asked_for(pair: Pair) -> None:
    async with Database(over(pair.primary, pair.standby, target_session_attrs="standby")) as database:
        assert await port(database) == pair.standby.port


async def test_a_former_primary_that_returns_is_never_taken(pair: Pair) -> None:
    async with Database(over(pair.primary, pair.standby)) as database:
        assert await port(database) == pair.primary.port
        await pair.standby.caught_up()
        await asyncio.to_thread(pair.primary.stop, "immediate")
        await pair.standby.promote()

        async def moved() -> bool:
            try:
                return await port(database) == pair.standby.port
            except (DatabaseUnavailable, NotPrimary, OSError):
                return False

        await until(moved, within=COMES_WITHIN)
        await asyncio.to_thread(pair.primary.start)  # as the primary it was
        await database.engine.dispose()
        assert await port(database) == pair.standby.port
        await asyncio.to_thread(pair.standby.stop, "immediate")
        await database.engine.dispose()
        with pytest.raises(NotPrimary, match="it is on timeline 1, and timeline 2 has begun elsewhere"):
            await port(database)


async def test_of_two_histories_the_newer_is_taken_and_told(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    await pair.standby.caught_up()
    await pair.standby.promote()
    async with Database(over(pair.primary, pair.standby)) as database:
        assert await port(database) == pair.standby.port
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert any(str(pair.primary.port) in words and str(pair.standby.port) in words for words in told)


async def test_of_two_systems_none_is_taken(pair: Pair, other: PrivatePostgresql) -> None:
    async with Database(over(pair.primary, other)) as database:
        with pytest.raises(NotPrimary, match="two hosts of different systems take writes"):
            await port(database)


async def test_one_connection_to_a_newer_history_ends_all_to_the_former(pair: Pair) -> None:
    """An address that moves while nothing breaks: no write was refused, and what is read from there is old."""
    with Relay("127.0.0.1", pair.primary.port) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        async with Database(DatabaseOptions(url, pool_size=3)) as database:
            async with database.engine.connect() as held:
                assert await port(database) == pair.primary.port
                await pair.standby.caught_up()
                await pair.standby.promote()
                relay.lead_to(pair.standby.port)
                async with database.engine.connect(), database.engine.connect() as grown:
                    served = await grown.exec_driver_sql("SELECT current_setting('port')::int")
                    assert served.scalar_one() == pair.standby.port
                with pytest.raises(Exception, match="closed"):
                    await held.exec_driver_sql("SELECT 1")
            assert await port(database) == pair.standby.port
            relay.lead_to(pair.primary.port)
            await database.engine.dispose()
            with pytest.raises(NotPrimary, match="timeline 2 has begun elsewhere"):
                await port(database)


async def test_a_server_that_does_not_tell_its_identity_is_connected_to(other: PrivatePostgresql) -> None:
    await other.ask("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    await other.ask("CREATE ROLE ordinary LOGIN")
    async with Database(other.url().replace("postgres@", "ordinary@")) as database:
        assert await port(database) == other.port
        connection: Any = await asyncpg.connect(other.url().replace("postgres@", "ordinary@"))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
        await connection.close()
