"""EmbeddedBroker: Celery's SQLAlchemy transport on a SQLite file, fixed for long-term use."""

import fcntl
import logging
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from typing import Any, Final

from kombu.transport import sqlalchemy as kombu_sqlalchemy
from kombu.transport.sqlalchemy.models import ModelBase

log = logging.getLogger("gatehouse.worker")

DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""SQLite's codes for a file that is no database, or a broken one."""
SWEEP_AFTER: Final = 1000
"""Number of consumed messages after which rows are deleted; sooner when the queue is empty."""


class Channel(kombu_sqlalchemy.Channel):
    """A kombu channel that deletes consumed messages: kombu keeps them for ever and never redelivers them.

    Its session is used by the worker's main thread, and by the pool's thread when a process was lost; a lock serializes
    them.
    """

    _taken = 0

    def __init__(self, connection: Any, **options: Any) -> None:
        self._turns = threading.RLock()
        super().__init__(connection, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its models use a loader that SQLAlchemy deprecates
            ModelBase.registry.configure()

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        with self._turn():
            empty = True
            try:
                message = super()._get(queue)
                empty = False
            finally:
                self._taken += not empty
                if self._taken >= (1 if empty else SWEEP_AFTER):
                    self._sweep()
            return message

    def _put(self, queue: str, payload: Any, **options: Any) -> None:  # type: ignore[override]  # kombu declares it twice
        with self._turn():
            super()._put(queue, payload, **options)

    def _new_queue(self, queue: str, **options: Any) -> None:
        with self._turn():
            super()._new_queue(queue, **options)

    def _size(self, queue: str) -> int:
        with self._turn():
            size: int = super()._size(queue)
            return size

    def _purge(self, queue: str) -> int:
        with self._turn():
            count: int = super()._purge(queue)
            return count

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the session's lock; roll the session back on an error."""
        with self._turns:
            try:
                yield
            except Empty:
                raise
            except BaseException as error:
                code = _code(error)
                if code in {None, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                    self.session.rollback()
                    raise
                self._let_go()
                if code in DAMAGED:
                    replace_damaged(Path(self._address.removeprefix("sqlite:///")))
                raise

    @property
    def _address(self) -> str:
        client: Any = self.connection.client
        return str(client.hostname)

    def _let_go(self) -> None:
        """Forget the session and the engine: its connections may be to a file that is damaged, or was replaced."""
        session, self._session = self._session, None
        engine, _ = self._engines.pop(self._address, (None, None))
        with suppress(Exception):  # what is broken needn't be closed
            if session is not None:
                session.rollback()
                session.close()
        if engine is not None:
            engine.dispose()

    def _sweep(self) -> None:
        self._taken = 0
        self.session.query(self.message_cls).filter_by(visible=False).delete(synchronize_session=False)
        self.session.commit()


class EmbeddedBroker(kombu_sqlalchemy.Transport):
    """A transport that polls ten times a second."""

    Channel = Channel
    polling_interval = 0.1


def _code(error: BaseException) -> int | None:
    """Return SQLite's primary code of an error that SQLAlchemy has wrapped; None for another error."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def replace_damaged(path: Path) -> None:
    """Move a damaged file aside, so that an empty one is created in its place. Nothing is lost that matters: messages
    are in the outbox until they are done, and periodic tasks come again. Of several processes that find it damaged one
    moves it.
    """
    with os.fdopen(os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists() or _sound(path):
            return
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        path.rename(aside)
        for suffix in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.touch(mode=0o600)
    log.error("the embedded broker's file was damaged: it is kept as %s, and an empty one replaces it", aside)


def _sound(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=5)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
