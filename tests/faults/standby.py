"""Standby: a second server that follows a private one, and takes over from it.

with PrivatePostgresql() as primary, Standby(primary) as standby:
    await standby.caught_up()
    await standby.promote()                # the primary lives on, as after a partition, until it is stopped
"""

from typing import Final

from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.waiting import until
from unitwork.testing.servers.postgresql_server import run_as

CATCHES_UP_WITHIN: Final = 30.0
"""Seconds."""


class Standby(PrivatePostgresql):
    """A streaming replica of a running server, made by pg_basebackup. Its name at the primary is `standby`."""

    def __init__(self, primary: PrivatePostgresql) -> None:
        super().__init__()
        self._primary = primary

    def _fill(self) -> None:
        source = f"host=127.0.0.1 port={self._primary.port} user=postgres application_name=standby"
        options = ("-D", self._data, "-d", source, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
        run_as(self._user, self._programs / "pg_basebackup", *options)
        self.configure(primary_conninfo=source, synchronous_standby_names="")

    async def caught_up(self) -> None:
        """Wait until everything that the primary has written is replayed here."""
        position = await self._primary.ask("SELECT pg_current_wal_lsn()::text")

        async def replayed() -> bool:
            return bool(await self.ask("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", position))

        assert await until(replayed, within=CATCHES_UP_WITHIN)

    async def promote(self) -> None:
        """Let it take over. Returns once it takes writes."""
        await self.ask("SELECT pg_promote(true, 30)")
