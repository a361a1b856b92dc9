"""ServerIdentity: what two transaction ids, or two positions in a log, must share to be comparable.

A promoted standby continues its primary's history on a new timeline: the same transaction id then names different
transactions on the two. A server that was restored from a backup does so too, and one that was made by initdb has
another system identifier.
"""

from typing import Final, NamedTuple

SERVER_IDENTITY: Final = """
(SELECT system_identifier::text FROM pg_control_system()) || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"""
"""SQL expression of a primary's identity as `ServerIdentity.text` writes it. The timeline is that of the log it writes:
the control file has the former one until the first checkpoint after a promotion.
"""


class ServerIdentity(NamedTuple):
    """A history of PostgreSQL: the system identifier, decimal, and the timeline."""

    system: str
    timeline: int

    @property
    def text(self) -> str:
        """Return the identity as `SERVER_IDENTITY` selects it."""
        return f"{self.system} {self.timeline:08X}"


class Xid(NamedTuple):
    """A transaction's id, which only its own server's history can be asked about."""

    number: int
    server: ServerIdentity
