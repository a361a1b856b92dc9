"""EmbeddedBroker: Celery's SQLAlchemy transport on a SQLite file, made to last."""

import warnings
from typing import Any, Final

from kombu.transport import sqlalchemy as kombu_sqlalchemy
from kombu.transport.sqlalchemy.models import ModelBase

SWEEP_AFTER: Final = 1000
"""Messages taken, after which their rows are deleted; sooner when the queue is empty."""


class Channel(kombu_sqlalchemy.Channel):
    """kombu keeps every message that was taken for ever. It never gives them back either, so this one deletes them."""

    _taken = 0

    def __init__(self, connection: Any, **options: Any) -> None:
        super().__init__(connection, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its models name a loader that SQLAlchemy is about to drop
            ModelBase.registry.configure()

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        empty = True
        try:
            message = super()._get(queue)
            empty = False
        finally:
            self._taken += not empty
            if self._taken >= (1 if empty else SWEEP_AFTER):
                self._sweep()
        return message

    def _sweep(self) -> None:
        self._taken = 0
        self.session.query(self.message_cls).filter_by(visible=False).delete(synchronize_session=False)
        self.session.commit()


class EmbeddedBroker(kombu_sqlalchemy.Transport):
    """Looks for messages ten times a second."""

    Channel = Channel
    polling_interval = 0.1
