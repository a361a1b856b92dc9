"""Node leases: take, renew and release rows of `NodeLease`, by the database's clock.

Each function sends one or two statements on a given connection; `unitwork.ids.leased_ids` decides when to call them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import BigInteger, ColumnElement, CursorResult, Integer, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler

from unitwork.ids.snowflake import NODE_BITS
from unitwork.models.base import NEEDED, LibraryBase, any_snowflake_id


class NodeLease(LibraryBase):
    """Lease of a node, the part of the ids by which processes differ. The holder has the node until `expires_at`."""

    __tablename__ = "node_leases"
    __table_args__ = ({"info": {NEEDED: any_snowflake_id}},)

    node_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(String(64))
    """A random name of the holding process."""
    expires_at: Mapped[int] = mapped_column(BigInteger)
    """End of the lease in milliseconds since 1970, by the database's clock."""
    used_until: Mapped[int] = mapped_column(BigInteger)
    """Latest moment of any id of this node, by any holder; milliseconds since 1970, by the holders' clocks."""


NODES: Final = 1 << NODE_BITS
_LEASES: Final = cast("Table", NodeLease.__table__)


class DatabaseNow(ColumnElement[int]):
    """The current moment by the database's clock, in milliseconds since 1970: processes' clocks differ."""

    inherit_cache = True
    type = BigInteger()


@compiles(DatabaseNow, "postgresql")
def _postgresql(_element: DatabaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(DatabaseNow, "sqlite")
def _sqlite(_element: DatabaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(DatabaseNow, "mysql")
@compiles(DatabaseNow, "mariadb")
def _mysql(_element: DatabaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)"


@dataclass(frozen=True)
class Taken:
    """A node that was leased. Ids up to the moment `used_until` may have been made by earlier holders."""

    node_id: int
    holder: str
    used_until: int


async def take(session: AsyncSession, *, now: int, ttl: int, reserve: int) -> Taken | None:
    """Lease a node for `ttl` milliseconds; None if none is free, or other processes are taking all free ones right now.

    `now` is the caller's clock in milliseconds: a node with ids beyond it can't be used yet. `reserve` is the latest
    moment of an id that may be made before the lease is renewed. Raises `UniqueViolation` if another process was
    faster.
    """
    rows = (
        await session.execute(
            select(_LEASES.c.node_id, _LEASES.c.used_until, (_LEASES.c.expires_at < DatabaseNow()).label("expired"))
        )
    ).all()
    holder = secrets.token_hex(16)
    mine = {"holder": holder, "expires_at": DatabaseNow() + ttl, "used_until": reserve}
    free = [row for row in rows if row.expired and row.used_until < now]
    if free:
        row = secrets.choice(free)
        same = (_LEASES.c.node_id == row.node_id, _LEASES.c.expires_at < DatabaseNow())
        result = await session.execute(update(_LEASES).where(*same).values(mine))
        taken = cast("CursorResult[Any]", result).rowcount == 1
        return Taken(row.node_id, holder, row.used_until) if taken else None
    unused: Sequence[int] = sorted(set(range(NODES)) - {row.node_id for row in rows})
    if not unused:
        return None
    node_id = secrets.choice(unused)
    await session.execute(insert(_LEASES).values(node_id=node_id, **mine))
    return Taken(node_id, holder, 0)


async def renew(connection: AsyncConnection, taken: Taken, *, ttl: int, reserve: int) -> bool:
    """Extend the lease for `ttl` milliseconds; False if another process holds it. An expired lease that nobody took is
    renewed.
    """
    return await _change(connection, taken, expires_at=DatabaseNow() + ttl, used_until=reserve)


async def release(connection: AsyncConnection, taken: Taken, *, used_until: int) -> bool:
    """Release the node; False if another process holds it."""
    return await _change(connection, taken, expires_at=0, used_until=used_until)


async def _change(connection: AsyncConnection, taken: Taken, **values: Any) -> bool:
    ours = (_LEASES.c.node_id == taken.node_id, _LEASES.c.holder == taken.holder)
    result = await connection.execute(update(_LEASES).where(*ours).values(values))
    return result.rowcount == 1
