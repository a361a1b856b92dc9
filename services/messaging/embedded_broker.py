"""EmbeddedBroker: Celery's SQLAlchemy transport on a SQLite file, fixed for long-term use."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any, Final

from kombu.transport import sqlalchemy as kombu_sqlalchemy
from kombu.transport.sqlalchemy.models import ModelBase

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
            except BaseException:
                self.session.rollback()
                raise

    def _sweep(self) -> None:
        self._taken = 0
        self.session.query(self.message_cls).filter_by(visible=False).delete(synchronize_session=False)
        self.session.commit()


class EmbeddedBroker(kombu_sqlalchemy.Transport):
    """A transport that polls ten times a second."""

    Channel = Channel
    polling_interval = 0.1
