"""Migrations: a database's lock against a second migration, and the limits of a migration's statements."""

from hashlib import blake2b
from typing import ClassVar

from sqlalchemy import Connection

from unitwork.options import MigrationOptions


class Migrations:
    """Defaults for a database whose transactions exclude each other from their beginning, as writers on SQLite."""

    locks: ClassVar[bool] = False
    """True if the lock is held by a connection of its own."""

    def try_lock(self, connection: Connection, name: str) -> bool:
        """Take the lock for as long as the connection's transaction is open; False if another connection holds it."""
        return True

    def holder(self, connection: Connection, name: str) -> str | None:
        """Describe the connection that holds the lock; None if it isn't known."""
        return None

    def begin(self, connection: Connection, options: MigrationOptions) -> int | None:
        """Set the limits of the transaction that has just begun; return the server process it runs in, if there is
        one.
        """
        return None

    def limit(self, connection: Connection, options: MigrationOptions) -> Connection:
        """Set the limits of a new connection that are no transaction's."""
        return connection

    def blockers(self, connection: Connection, process: int) -> str | None:
        """Describe the connections that a server process waits for; None if it waits for none."""
        return None


def key(name: str) -> bytes:
    """Return the 8 bytes under which a lock's name is known to the server."""
    return blake2b(f"unitwork migration of {name}".encode(), digest_size=8).digest()
