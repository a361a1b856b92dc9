"""Direct commits: COMMIT sent directly through asyncpg.

SQLAlchemy would switch to a greenlet and walk through its session's states, though after COMMIT it only has to forget
them. Its own commit runs after the driver's answer, with nothing to send; errors are still raised through it.

Without it a transaction of one INSERT takes 4 to 7 % longer, and 6 to 8 % more CPU (docs/decisions/0087).
"""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.pool import has_ended
from unitwork.unit import Unit


def ready(session: Session, unit: Unit, plans: CompiledStatements) -> Connection | None:
    """Return the unit's connection if only COMMIT remains to be sent on it and there are no listeners; None if
    SQLAlchemy has to commit.
    """
    connection, transaction = unit.connection, session.get_transaction()
    if not unit.transactional or not isinstance(connection, Connection) or transaction is None or not plans.possible:
        return None
    if connection.closed or connection.invalidated or len(unit.frames) > 1 or plans.followed():
        return None
    if connection._has_events:  # noqa: SLF001 - as in `CompiledStatements.followed`, but for listeners of this connection
        return None
    listeners: Any = session.dispatch
    if listeners.before_commit or listeners.after_commit or listeners.after_transaction_end or session.expire_on_commit:
        return None
    # `_connections` holds each connection twice: under itself and under its engine.
    if len(transaction._connections) > 2:  # noqa: SLF001 - it has no public name
        return None
    adapter: Any = connection.connection.dbapi_connection
    driver = adapter.driver_connection
    begun = adapter._transaction is not None  # noqa: SLF001 - SQLAlchemy's adapter has no public name for it
    return connection if begun and not has_ended(driver) and driver.is_in_transaction() else None


async def send(connection: Connection) -> None:
    """Send COMMIT. Raises the driver's errors; in either case SQLAlchemy's adapter counts its transaction as ended."""
    adapter: Any = connection.connection.dbapi_connection
    await adapter._call_and_discard(adapter._transaction.commit)  # noqa: SLF001 - what its `commit` does in a greenlet
