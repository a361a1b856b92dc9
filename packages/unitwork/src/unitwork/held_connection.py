"""HeldConnection: what a unit knows of its connection, and how a block's own statements are sent over it."""

from typing import Final, Protocol

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.pool import PoolProxiedConnection

OWN_OPTION: Final = "unitwork_own"
"""The execution option of what the blocks themselves set for a session, and see to themselves."""


def send_own(connection: Connection, statement: str) -> None:
    """Have a block's own statement sent."""
    connection.exec_driver_sql(statement, execution_options={OWN_OPTION: True})


class HeldConnection(Protocol):
    """What is asked of a connection that a unit holds: SQLAlchemy's, or one that a statement took without it."""

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
