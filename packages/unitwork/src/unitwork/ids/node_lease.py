"""NodeLease: which process has which node, the share of the id space that `Snowflake` works in."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models.base import Base


class NodeLease(Base):
    """A node that was leased before. Until `expires_at` it is its holder's. Taken, renewed and given back by
    `unitwork.ids.node_leases`.
    """

    __tablename__ = "node_leases"

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    """A random name."""
    expires_at: Mapped[int] = mapped_column(BigInteger)
    """Milliseconds since 1970, by the database's clock."""
    used_until: Mapped[int] = mapped_column(BigInteger)
    """No id of this node, of whatever holder, is of a later moment; milliseconds since 1970, by the holders' clocks."""
