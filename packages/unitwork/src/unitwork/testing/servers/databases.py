"""Databases for tests: one migrated template of each kind for a whole test run, copied for its workers and tests."""

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
"""Only databases with this prefix, or the one that the host's kit says, are created and dropped."""
BACKENDS: Final = ("sqlite", "postgresql", "mariadb")


Migrate = Callable[[str], Coroutine[Any, Any, None]]
"""Makes, in the empty database at a URL, the tables that every test finds."""


@dataclass(frozen=True)
class Run:
    """One test run, of however many workers: the name its databases begin with, and the folder of its files."""

    name: str
    folder: Path

    @classmethod
    def new(cls, prefix: str = PREFIX) -> "Run":
        """With a name that no other run has."""
        return cls(f"{prefix}{os.getpid()}_{secrets.token_hex(3)}", Path(tempfile.mkdtemp(prefix=prefix)))

    def close(self, *, server_too: bool) -> None:
        """Remove every database that is left, those of killed workers too."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # the server is gone, and its databases are somebody else's care
            if server_too and (names := server.databases_of(f"{self.name}_")):
                server.drop(*names)
        if mariadb_server.named():
            with suppress(Exception):  # as above, in the words of a driver that needn't be installed
                mariadb_server.drop(*mariadb_server.databases_of(f"{self.name}_"))


class Databases:
    """What one worker takes: its own copy for the isolated tests, and one for each test that commits."""

    def __init__(self, run: Run, worker: str = "main", *, migrate: Migrate) -> None:
        self._run = run
        self._worker = f"{run.name}_{worker}"
        self._migrate = migrate
        self._numbers = itertools.count(1)
        self._shared: dict[str, str] = {}
        self._untouched: dict[str, int] = {}
        self._emptied: dict[str, list[str]] = {backend: [] for backend in BACKENDS}

    def shared(self, backend: str) -> str:
        """The URL of the one that the isolated tests of this worker have in common. Nothing is ever stored in it:
        PostgreSQL refuses others than isolated connections to write, and a SQLite file that was written to is left
        to whoever did that; on MariaDB nobody is refused.
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
        """The URL of a new one, of one of the `BACKENDS`."""
        if migrated and self._emptied[backend]:
            return self._emptied[backend].pop()
        return self._copy(backend, f"{self._worker}_{next(self._numbers)}", migrated=migrated)

    def drop(self, url: str) -> None:
        """Remove one that `create` made."""
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
        """Migrated by whichever worker comes first; the others wait for it."""
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
        """Of PostgreSQL's template; empty before there is one."""
        made = self._run.folder / "postgresql.template"
        return made.with_suffix(".fingerprint").read_text(encoding="utf-8") if made.exists() else ""


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def _written(url: str) -> int:
    """When a SQLite file was written to; what is still in its log counts as now."""
    path = Path(make_url(url).database or "")
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_mtime_ns + (log.stat().st_size if log.exists() else 0)


def _fold(name: str) -> None:
    """Fold the write-ahead log in, so that the one file is the whole database."""
    connection = sqlite3.connect(name)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{name}{suffix}").unlink()
