"""Replicated: a primary with a streaming replica, for all tests of a run that promote neither.

Replay is what tests stop and start: what is committed meanwhile, the replica certainly doesn't have.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.fixtures import Pair
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.standby import Standby
from tests.patience import until
from unitwork import Database

COMES_WITHIN = 20.0
"""Seconds."""


@dataclass(frozen=True)
class Replicated:
    """One database, on both servers."""

    pair: Pair
    name: str = "postgres"

    @property
    def primary_url(self) -> str:
        return self.pair.primary.url(self.name)

    @property
    def replica_url(self) -> str:
        return self.pair.standby.url(self.name)

    async def pause(self) -> None:
        """Stop replay, once all that was written is replayed."""
        await self.pair.standby.caught_up()
        await self.pair.standby.ask("SELECT pg_wal_replay_pause()")

        async def paused() -> bool:
            return bool(await self.pair.standby.ask("SELECT pg_get_wal_replay_pause_state() = 'paused'"))

        await until(paused, within=COMES_WITHIN)

    async def resume(self) -> None:
        await self.pair.standby.ask("SELECT pg_wal_replay_resume()")


async def in_use(database: Database, *, used: bool = True) -> None:
    """Wait until the one replica is used, or is used no longer."""
    replicas = database.replicas
    assert replicas is not None
    await until(lambda: replicas.states()[0].used is used, within=COMES_WITHIN)


@pytest.fixture(scope="session")
def _replicated_pair() -> Iterator[Pair]:
    with PrivatePostgresql() as primary:
        if not primary.has("pg_basebackup"):
            pytest.skip("this PostgreSQL was installed without pg_basebackup, so it can have no standby")
        with Standby(primary) as standby:
            standby.configure(wal_retrieve_retry_interval="100ms")  # it asks the primary again after 5 s otherwise
            asyncio.run(standby.ask("SELECT pg_reload_conf()"))
            yield Pair(primary, standby)


@pytest.fixture
def replicated(_replicated_pair: Pair) -> Iterator[Replicated]:
    """Both servers run, nothing is frozen, replay goes on, and the schema is empty."""
    pair = _replicated_pair
    yield Replicated(pair)
    pair.standby.thaw_all()
    pair.standby.start()
    asyncio.run(pair.standby.ask("SELECT pg_wal_replay_resume()"))
    for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
        asyncio.run(pair.primary.ask(statement))
