"""Autocommit statements: a unit that is one statement, sent without a session. Inside a transaction, too, a statement
with a plan is sent directly by the driver.

A session's state and the greenlet switches to begin and end it would cost more than a read by primary key itself.
Guards, cancellation, drain and errors are the same as for every other unit.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Executable, Select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from unitwork.call_site import calling_site
from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import SENT_OPTION, Answer, CheckedOutConnection, CompiledStatement, Sent
from unitwork.connections.direct_checkout import DirectCheckout
from unitwork.deadline import bounded, time_left
from unitwork.monitor.monitor import SqlMonitor
from unitwork.sessions.resending import NOTHING_DONE, Resending
from unitwork.sessions.session import ProvidedSession
from unitwork.sessions.session_factory import SessionFactory
from unitwork.unit import UNIT, Unit


async def send_directly(
    unit: Unit,
    pooled: PoolProxiedConnection | DirectCheckout,
    plan: CompiledStatement,
    values: Sequence[Any],
    monitor: SqlMonitor,
    fail: Callable[[str, Sent], None],
) -> Answer:
    """Return the answer, for `plan.read`. Sends BEGIN before a transaction's first statement.

    On an error, `fail` is called in a greenlet and must raise it as its typed error. The unit stays `executing` until
    the caller resets it.
    """
    unit.statement = plan.text
    sent = unit.executing = time.monotonic()
    try:
        if unit.transactional:
            driver: Any = pooled.driver_connection
            if not driver.is_in_transaction():
                adapter: Any = pooled.dbapi_connection
                await adapter._start_transaction()  # noqa: SLF001 - otherwise BEGIN is sent by SQLAlchemy's adapter only
                sent = time.monotonic()
        answer = await plan.send(pooled, values)
    except GeneratorExit:  # the event loop has ended: nothing can be awaited
        raise
    except BaseException as error:
        unit.executing = 0.0
        await greenlet_spawn(fail, plan.text, Sent(error, sent))
        raise  # not reached: `fail` has raised
    monitor.sent_directly(unit, plan.text, plan.dialect.name, sent, answer.matched)
    return answer


async def send_autocommit(factory: SessionFactory, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
    """Send an autocommit statement outside any block; return its answer.

    It is sent again if the server's plan was outdated; a read also once after a connection that died in the pool.
    Raises what a session would raise for it, and `TransactionTimeout` after the deadline; a write that was sent before
    it is waited for, as nobody could tell whether the database has stored it.
    """
    unit = Unit(transactional=False, autocommit=True, statements=1)
    engine = factory.engine()
    unit.enter(calling_site(), parent=None)
    left = time_left(unit)
    sending = _Sending(factory, engine, unit, statement, parameters)
    try:
        if left is None or not isinstance(statement, Select):
            return await shield(sending.run(), unit)
        async with bounded(left, unit):
            return await shield(sending.run(), unit)
    finally:
        unit.end()
        factory.left(unit)


class _Sending:
    """One statement's sending: through SQLAlchemy, or directly by the driver if there is a plan."""

    def __init__(
        self,
        factory: SessionFactory,
        engine: AsyncEngine,
        unit: Unit,
        statement: Executable,
        parameters: Mapping[str, Any],
    ) -> None:
        bind, self._options = factory.admit(engine, unit)  # without ids: a builder's statements store no new rows
        self._bind = bind.sync_engine
        self._engine = engine.sync_engine
        self._plans = factory.plans(engine)
        self._monitor = factory.monitor
        self._unit = unit
        self._statement = statement
        self._parameters = parameters

    async def run(self) -> Answer:
        """Return the answer. Raises the statement's error, and `CommitOutcomeUnknown` for a write whose answer was
        lost.
        """
        resending, begun = None, self._unit.since
        while True:
            try:
                return await self._once()
            except NOTHING_DONE as error:
                resending = resending or Resending(lambda: isinstance(self._statement, Select))
                if not resending.after(error, begun):
                    raise
            self._unit.lost, begun = False, time.monotonic()

    async def _once(self) -> Answer:
        plan = self._plans.of(self._statement)
        values = None if plan is None else plan.values(self._parameters)
        if plan is None or values is None:
            return await greenlet_spawn(self._by_sqlalchemy)
        return await self._directly(plan, values)

    def _by_sqlalchemy(self) -> Answer:
        connection = self._bind.connect()
        try:
            sending = connection.execution_options(**self._options)
            result = sending.execute(self._statement, self._parameters)
            self._plans.learn(self._statement, self._parameters, result)
            return Answer(result.all() if result.returns_rows else (), result.rowcount)
        finally:
            self._give_back(connection)

    async def _directly(self, plan: CompiledStatement, values: Sequence[Any]) -> Answer:
        unit, engine = self._unit, self._engine
        taken: DirectCheckout | CheckedOutConnection | None = self._plans.take()
        if taken is None:
            taken = CheckedOutConnection(engine, await greenlet_spawn(engine.raw_connection))
        unit.begun(taken)
        fail = partial(self._fail, taken)
        if unit.cancelled is not None:
            await greenlet_spawn(fail, plan.text, Sent(unit.cancelled, 0.0))
        try:
            answer = await send_directly(unit, taken.connection, plan, values, self._monitor, fail)
        except GeneratorExit:  # the event loop has ended: nothing can be awaited
            taken.proxied().invalidate()
            raise
        if not taken.give_back():
            await greenlet_spawn(self._give_back, taken.proxied())
        unit.executing, unit.connection = 0.0, None
        return plan.read(answer)

    def _fail(self, taken: DirectCheckout | CheckedOutConnection, statement: str, sent: Sent) -> None:
        """Raise the driver's error through SQLAlchemy, as its typed error."""
        connection = Connection(self._engine, taken.proxied())
        self._unit.connection = connection
        try:
            connection.execution_options(**self._options, **{SENT_OPTION: sent}).exec_driver_sql(statement)
        finally:
            self._give_back(connection)

    def _give_back(self, connection: Connection | PoolProxiedConnection) -> None:
        unit = self._unit
        unit.ending = True
        unit.executing = time.monotonic()  # marks the driver as busy, so that `shield` defers a cancellation
        try:
            connection.close()
        finally:
            unit.ending, unit.executing, unit.connection = False, 0.0, None


class InsideStatements:
    """Sender for one session with nothing to flush."""

    def __init__(self, factory: SessionFactory, engine: AsyncEngine, session: ProvidedSession, unit: Unit) -> None:
        self._plans = factory.plans(engine)
        self._monitor = factory.monitor
        self._session = session
        self.unit: Final = unit

    async def send(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """Send one statement; return its answer. Raises what the session would raise for it."""
        plan = self._plans.of(statement)
        values = None if plan is None else plan.values(parameters)
        if plan is not None and values is not None:
            unit = self.unit
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
        if self.unit.deadline is None and not session.dispatch.after_begin and self._plans.ready():
            session.connection()
        else:
            await shield(greenlet_spawn(session.connection), self.unit)

    async def _directly(self, plan: CompiledStatement, values: Sequence[Any], connection: Connection) -> Answer:
        unit, fail = self.unit, partial(_fail, connection)
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
