"""Direct commits: COMMIT sent by asyncpg itself.

SQLAlchemy would cross into a greenlet for it, and walk through its session's states, though after COMMIT it has nothing
to do but to forget. It is told once the driver has the answer, when it has nothing to send; an error it raises itself,
as ever.
"""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.pool import has_ended
from unitwork.unit import Unit


def ready(session: Session, unit: Unit, plans: CompiledStatements) -> Connection | None:
    """The unit's connection, where nothing is left to do but COMMIT on it, and nobody but the driver to do it; None
    where SQLAlchemy has to see to it.
    """
    connection, transaction = unit.connection, session.get_transaction()
    if not unit.transactional or not isinstance(connection, Connection) or transaction is None or not plans.possible:
        return None
    if connection.closed or connection.invalidated or len(unit.frames) > 1 or plans.followed():
        return None
    if connection._has_events:  # noqa: SLF001 - as `CompiledStatements.followed` asks of the engine: somebody listens to this one
        return None
    told: Any = session.dispatch
    if told.before_commit or told.after_commit or told.after_transaction_end or session.expire_on_commit:
        return None
    # Each connection stands there by itself and by its engine.
    if len(transaction._connections) > 2:  # noqa: SLF001 - it has no public name
        return None
    adapter: Any = connection.connection.dbapi_connection
    driver = adapter.driver_connection
    begun = adapter._transaction is not None  # noqa: SLF001 - SQLAlchemy's adapter has no public word for it
    return connection if begun and not has_ended(driver) and driver.is_in_transaction() else None


async def send(connection: Connection) -> None:
    """Raises what the driver does. Either way SQLAlchemy's adapter takes its transaction for ended."""
    adapter: Any = connection.connection.dbapi_connection
    await adapter._call_and_discard(adapter._transaction.commit)  # noqa: SLF001 - what its `commit` does in a greenlet
