"""Statements inside a transaction: one statement of a block's transaction, sent directly by the driver if it has a
plan.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Executable
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util import greenlet_spawn

from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import SENT_OPTION, Answer, CompiledStatement, Sent
from unitwork.sessions.direct_sending import send_directly
from unitwork.sessions.session import ProvidedSession
from unitwork.sessions.session_factory import SessionFactory
from unitwork.unit import UNIT, Unit


class InsideStatements:
    """Sender for one session with nothing to flush."""

    def __init__(self, factory: SessionFactory, engine: AsyncEngine, session: ProvidedSession, unit: Unit) -> None:
        self._plans = factory.plans(engine)
        self._monitor = factory.monitor
        self._session = session
        self._unit = unit

    async def send(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """Send one statement; return its answer. Raises what the session would raise for it."""
        plan = self._plans.of(statement)
        values = None if plan is None else plan.values(parameters)
        if plan is not None and values is not None:
            unit = self._unit
            unit.before_statement()
            if unit.connection is None:
                await self._connect()
            if isinstance(unit.connection, Connection) and not unit.connection.closed:
                return await shield(self._directly(plan, values, unit.connection), unit)
        result = await self._session.execute(statement, parameters)
        self._plans.learn(statement, parameters, result)
        return Answer(result.all() if result.returns_rows else (), result.rowcount)

    async def _connect(self) -> None:
        """Take a connection; BEGIN is sent with the first statement.

        With a connection at hand nothing is awaited, unless a deadline must be sent to the server, or there are
        `after_begin` listeners.
        """
        session: Any = self._session.sync_session
        if self._unit.deadline is None and not session.dispatch.after_begin and self._plans.ready():
            session.connection()
        else:
            await shield(greenlet_spawn(session.connection), self._unit)

    async def _directly(self, plan: CompiledStatement, values: Sequence[Any], connection: Connection) -> Answer:
        unit, fail = self._unit, partial(_fail, connection)
        answer = await send_directly(unit, connection.connection, plan, values, self._monitor, fail)
        unit.executing = 0.0
        return plan.read(answer)


def inside(factory: SessionFactory, engine: AsyncEngine, session: AsyncSession) -> InsideStatements | None:
    """Return the sender for a session; None if its statements must go through SQLAlchemy.

    That is a session that isn't in a transaction of this factory, has a driver without plans, would refuse a write, or
    has something to flush first.
    """
    unit: Unit | None = session.sync_session.execution_options.get(UNIT)
    if not isinstance(session, ProvidedSession) or unit is None or not unit.transactional:
        return None
    if unit.lost or unit.top.broken or unit.refuses_writes or unit.blocked_by or not session.clean:
        return None
    return InsideStatements(factory, engine, session, unit) if factory.plans(engine).possible else None


def _fail(connection: Connection, statement: str, sent: Sent) -> None:
    """Raise the driver's error through SQLAlchemy, as its typed error."""
    connection.exec_driver_sql(statement, execution_options={SENT_OPTION: sent})
