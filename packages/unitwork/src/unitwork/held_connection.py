"""HeldConnection: a unit's view of its connection, and the sending of the library's own statements over it."""

from typing import Final, Protocol

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.pool import PoolProxiedConnection

OWN_OPTION: Final = "unitwork_own"
"""Execution option that marks the library's own statements, whose effects it undoes itself."""
SENDER_OPTION: Final = "unitwork_sender"
"""Execution option that holds an object whose `send` replaces the dialect's `do_execute`."""


def send_own(connection: Connection, statement: str) -> None:
    """Send one of the library's own statements."""
    connection.exec_driver_sql(statement, execution_options={OWN_OPTION: True})


class HeldConnection(Protocol):
    """Interface of a connection that a unit holds: SQLAlchemy's, or one checked out without it."""

    @property
    def closed(self) -> bool: ...

    @property
    def invalidated(self) -> bool: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def connection(self) -> PoolProxiedConnection: ...
