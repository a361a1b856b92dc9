"""Autocommit statements: a unit that is one statement, sent without a session.

A session's state and the greenlet switches to begin and end it would cost more than a read by primary key itself.
Guards, cancellation, drain and errors are the same as for every other unit.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Executable, Select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from unitwork.call_site import calling_site
from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import SENT_OPTION, Answer, CheckedOutConnection, CompiledStatement, Sent
from unitwork.connections.direct_checkout import DirectCheckout
from unitwork.deadline import bounded, time_left
from unitwork.errors import DatabaseError
from unitwork.replicas.replica import primary_may_do
from unitwork.replicas.replicas import Replicas
from unitwork.sessions.inside_statements import send_directly
from unitwork.sessions.resending import NOTHING_DONE, Resending
from unitwork.sessions.session_factory import SessionFactory
from unitwork.unit import Unit


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
    replicas = factory.replicas
    sending = _Sending(factory, engine, unit, statement, parameters)
    if replicas is not None:
        sending = _SendingWithReplicas(sending, replicas)
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
        self.engine = engine
        self._factory = factory
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


class _SendingWithReplicas(_Sending):
    """Sending of a statement where a read may use a replica. What fails there and may succeed on the primary goes to
    it: a read has stored nothing.
    """

    def __init__(self, sending: _Sending, replicas: Replicas) -> None:
        vars(self).update(vars(sending))
        self._replicas = replicas
        self._primary = sending.engine

    async def run(self) -> Answer:
        if not isinstance(self._statement, Select):
            return await self._write()
        replica = await self._replicas.read()
        if replica is None:
            return await super().run()
        self._move(self._factory.at(replica))
        self._unit.replica = replica.address
        try:
            answer = await self._once()
        except DatabaseError as error:
            self._replicas.failed(replica, error)
            if not primary_may_do(error):
                raise
        else:
            self._replicas.served_by(replica)
            return answer
        self._replicas.fell_back()
        self._move(self._primary)
        return await super().run()

    async def _write(self) -> Answer:
        self._replicas.write()
        try:
            return await super().run()
        finally:  # no COMMIT tells its position, and an error may have lost the answer
            self._replicas.committed(None)

    def _move(self, engine: AsyncEngine) -> None:
        self._bind = self._factory.move(self._unit, engine).sync_engine
        self._engine = engine.sync_engine
        self._plans = self._factory.plans(engine)
        self._unit.statements = 1
