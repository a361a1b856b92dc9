"""PrivatePostgresql: a server of one test's own, which may be stopped, started again, and hurt backend by backend.

    with PrivatePostgresql() as server:
        server.freeze(pid)                     # SIGSTOP: the backend hangs, its socket stays open
        server.stop("immediate"); server.start()

Same binaries as `unitwork.testing.servers.postgresql_server`, the same port and data directory for its whole life, and
no connection to the machine's own services. What waits for the server (`start`, `stop`) blocks: from a loop call it in
a thread.
"""

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import asyncpg

from unitwork.testing.servers.postgresql_server import find_binaries, free_port, run_as, wait_until_ready

SHUTDOWNS: Final = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
Shutdown = Literal["smart", "fast", "immediate"]


@cache
def _programs(user: str | None) -> Path:
    """Return the folder of the programs, copied once for all servers of this process where `user` can't read them."""
    folder = tempfile.mkdtemp(prefix="gatehouse-private-postgresql-programs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder).chmod(0o755)
    return find_binaries(Path(folder), user)


class PrivatePostgresql:
    """Runs as long as the block. As root it runs as `nobody`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gatehouse-private-postgresql-")
        self._user = "nobody" if os.getuid() == 0 else None
        self._server: subprocess.Popen[bytes] | None = None
        self._frozen: set[int] = set()
        self.port = free_port()

    def __enter__(self) -> Self:
        home = Path(self._folder.name)
        home.chmod(0o755)
        self._programs = self._binaries(home)
        self._data = home / "data"
        self._data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self._data, self._user)
        self._fill()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop("immediate")
        self._folder.cleanup()

    def _binaries(self, _home: Path) -> Path:
        return _programs(self._user)

    def _fill(self) -> None:
        """Make what the data directory begins with."""
        made = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        run_as(self._user, self._programs / "initdb", "-D", self._data, *made)

    def configure(self, **settings: object) -> None:
        """Append settings, of which the last of a name counts; in force from the next start or reload on."""
        with (self._data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def has(self, program: str) -> bool:
        """True if a program was installed with the server."""
        return (self._programs / program).exists()

    def url(self, database: str = "postgres") -> str:
        """As settings take it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def postmaster(self) -> int:
        """The process that takes connections; frozen, it takes none and refuses none."""
        if self._server is None:
            msg = "the server is stopped"
            raise RuntimeError(msg)
        return self._server.pid

    def start(self) -> None:
        """Start, and wait until it takes connections (a crashed one recovers first). Nothing when it runs."""
        if self._server is not None:
            return
        options = ["-F", "-p", str(self.port), "-h", "127.0.0.1", "-k", "", "-N", "200"]
        self._server = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *options],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        wait_until_ready(self._data, self._server)
        asyncio.run(_until_it_answers(self.url()))

    def stop(self, shutdown: Shutdown = "fast") -> None:
        """`fast` ends every session and stops, `immediate` crashes. Frozen processes are thawed first."""
        if self._server is None:
            return
        self.thaw_all()
        self._server.send_signal(SHUTDOWNS[shutdown])
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(10)
        self._server = None

    async def ask(self, statement: str, *arguments: Any, database: str = "postgres") -> Any:
        """One value, over a connection of its own."""
        connection = await asyncpg.connect(self.url(database))
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    async def backends(self, database: str = "postgres") -> list[int]:
        """The process ids of the sessions on a database, the asking one not counted."""
        pids: list[int] = await self.ask(
            "SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity"
            " WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            database,
        )
        return pids

    async def terminate(self, pid: int) -> bool:
        """`pg_terminate_backend`: the session is told, and ends. False when there is none any more."""
        return bool(await self.ask("SELECT pg_terminate_backend($1)", pid))

    def kill(self, pid: int) -> None:
        """SIGKILL a backend: the server then ends every other session too, and recovers."""
        os.kill(pid, signal.SIGKILL)

    def freeze(self, pid: int) -> None:
        """SIGSTOP: it hangs until it is thawed."""
        os.kill(pid, signal.SIGSTOP)
        self._frozen.add(pid)

    def thaw(self, pid: int) -> None:
        """SIGCONT."""
        self._frozen.discard(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def thaw_all(self) -> None:
        """SIGCONT to everything frozen."""
        for pid in list(self._frozen):
            self.thaw(pid)

    @contextmanager
    def frozen(self, pid: int) -> Iterator[None]:
        """A process hangs for the length of the block."""
        self.freeze(pid)
        try:
            yield
        finally:
            self.thaw(pid)


async def _until_it_answers(url: str) -> None:
    """The port may be open while the server still starts up."""
    for _ in range(600):
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError):
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return
    msg = "PostgreSQL did not start within 30 s"
    raise RuntimeError(msg)
