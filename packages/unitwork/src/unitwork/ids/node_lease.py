"""NodeLease: the table of leased nodes, the part of the id that `Snowflake` needs to be unique."""

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models.base import NEEDED, LibraryBase, any_snowflake_id


class NodeLease(LibraryBase):
    """A node that was leased before. Until `expires_at` it is its holder's. Taken, renewed and given back by
    `unitwork.ids.node_leases`.
    """

    __tablename__ = "node_leases"
    __table_args__ = ({"info": {NEEDED: any_snowflake_id}},)

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    """A random name of the holding process."""
    expires_at: Mapped[int] = mapped_column(BigInteger)
    """End of the lease in milliseconds since 1970, by the database's clock."""
    used_until: Mapped[int] = mapped_column(BigInteger)
    """Latest moment of any id of this node, by any holder; milliseconds since 1970, by the holders' clocks."""
