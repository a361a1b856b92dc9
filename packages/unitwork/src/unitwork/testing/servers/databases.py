"""Databases for tests: one migrated template of each kind for a test run, copied for its workers and tests."""

import fcntl
import itertools
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from unitwork.testing.servers import mariadb_server, restore
from unitwork.testing.servers import postgresql as server

PREFIX: Final = "unitwork_test_"
"""Default name prefix. Only databases with the prefix in use are created and dropped."""
BACKENDS: Final = ("sqlite", "postgresql", "mariadb")


Migrate = Callable[[str], Coroutine[Any, Any, None]]
"""Migrates the empty database at a URL."""


@dataclass(frozen=True)
class Run:
    """One test run with any number of workers: the name prefix of its databases, and the folder of its files."""

    name: str
    folder: Path

    @classmethod
    def new(cls, prefix: str = PREFIX) -> "Run":
        """Return a run with a unique name."""
        return cls(f"{prefix}{os.getpid()}_{secrets.token_hex(3)}", Path(tempfile.mkdtemp(prefix=prefix)))

    def close(self, *, server_too: bool) -> None:
        """Remove all databases of the run, including those of killed workers."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # the server is gone
            if server_too and (names := server.databases_of(f"{self.name}_")):
                server.drop(*names)
        if mariadb_server.named():
            with suppress(Exception):  # as above; the driver that defines the error may be missing
                mariadb_server.drop(*mariadb_server.databases_of(f"{self.name}_"))


class Databases:
    """The databases of one worker: one copy for isolated tests, and one for each test that commits."""

    def __init__(self, run: Run, worker: str = "main", *, migrate: Migrate) -> None:
        self._run = run
        self._worker = f"{run.name}_{worker}"
        self._migrate = migrate
        self._numbers = itertools.count(1)
        self._shared: dict[str, str] = {}
        self._untouched: dict[str, int] = {}
        self._emptied: dict[str, list[str]] = {backend: [] for backend in BACKENDS}

    def shared(self, backend: str) -> str:
        """Return the URL of the database that this worker's isolated tests share, which stays empty.

        PostgreSQL refuses writes from connections other than isolated ones. A SQLite file that was written to is
        replaced. MariaDB has no such protection.
        """
        url = self._shared.get(backend)
        if url is None or (backend == "sqlite" and _written(url) != self._untouched[url]):
            url = self._shared[backend] = self.create(backend)
            if backend == "sqlite":
                self._untouched[url] = _written(url)
            elif backend == "postgresql":
                name = make_url(url).database
                setting = f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
                server.on_server(lambda connection: connection.execute(setting))
        return url

    def create(self, backend: str, *, migrated: bool = True) -> str:
        """Create a database of one of the `BACKENDS`, and return its URL."""
        if migrated and self._emptied[backend]:
            return self._emptied[backend].pop()
        return self._copy(backend, f"{self._worker}_{next(self._numbers)}", migrated=migrated)

    def drop(self, url: str) -> None:
        """Remove a database that `create` made."""
        parsed = make_url(url)
        name = parsed.database or ""
        if not Path(name).name.startswith(self._worker):
            return
        if parsed.get_backend_name() == "sqlite":
            for suffix in ("", "-wal", "-shm", "-journal"):
                Path(f"{name}{suffix}").unlink(missing_ok=True)
        elif parsed.get_backend_name() == "mariadb":
            if mariadb_server.restore(name, self._template("mariadb")):
                self._emptied["mariadb"].append(url)
            else:
                mariadb_server.drop(name)
        elif restore.restore(name, self._fingerprint()):
            self._emptied["postgresql"].append(url)
        else:
            server.drop(name)

    def _copy(self, backend: str, name: str, *, migrated: bool) -> str:
        if backend == "sqlite":
            path = self._run.folder / f"{name}.db"
            if migrated:
                shutil.copyfile(self._template(backend), path)
            return f"sqlite:///{path}"
        if backend == "mariadb":
            mariadb_server.create(name, self._template(backend) if migrated else None)
            return mariadb_server.url_of(name)
        template = f' TEMPLATE "{self._template(backend)}"' if migrated else ""
        server.on_server(lambda connection: connection.execute(f'CREATE DATABASE "{name}"{template}'))
        return server.url_of(name)

    def _template(self, backend: str) -> str:
        """Return the template, migrated by the first worker that needs it while others wait."""
        with _locked(self._run.folder / f"{backend}.template") as made:
            if not made.exists():
                url = self._copy(backend, f"{self._run.name}_template", migrated=False)
                server.apart(lambda: self._migrate(url))
                name = make_url(url).database or ""
                if backend == "sqlite":
                    _fold(name)
                elif backend == "postgresql":
                    made.with_suffix(".fingerprint").write_text(restore.fingerprint(name), encoding="utf-8")
                made.write_text(name, encoding="utf-8")
            return made.read_text(encoding="utf-8")

    def _fingerprint(self) -> str:
        """Return the fingerprint of PostgreSQL's template; empty if there is none yet."""
        made = self._run.folder / "postgresql.template"
        return made.with_suffix(".fingerprint").read_text(encoding="utf-8") if made.exists() else ""


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def _written(url: str) -> int:
    """Return the time of the last write to a SQLite file; a non-empty write-ahead log counts as now."""
    path = Path(make_url(url).database or "")
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_mtime_ns + (log.stat().st_size if log.exists() else 0)


def _fold(name: str) -> None:
    """Checkpoint the write-ahead log, so that the one file is the whole database."""
    connection = sqlite3.connect(name)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{name}{suffix}").unlink()
