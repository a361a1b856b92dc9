"""Inside statements: inside a transaction, a statement with a plan is sent directly by the driver.

SQLAlchemy's session and its greenlet take several times as long as the driver. Everything a session has to say about a
statement comes first: whose it is, the flush before it, what a read-only block refuses, who listens. Where it has more
to say, `reading` and `writing` are False, and the statement goes through the session.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from sqlalchemy import Connection, Executable, Insert, Table, insert
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import SENT_OPTION, Answer, CompiledStatement, CompiledStatements, Sent
from unitwork.connections.direct_checkout import DirectCheckout
from unitwork.monitor.monitor import SqlMonitor
from unitwork.rows.new_rows import NewRows
from unitwork.sessions.guarded_session import GuardedSession
from unitwork.unit import Unit

MAX_CACHED_INSERTS: Final = 1024
"""Maximum number of cached INSERTs: one for each table and set of columns that the database gives."""


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


class InsideStatements:
    """Sender of one session's statements, in its transaction."""

    def __init__(
        self, session: GuardedSession, plans: CompiledStatements, flush: Callable[[], Awaitable[None]]
    ) -> None:
        self.session: Final = session
        self.unit: Final[Unit] = session.unit
        self._plans = plans
        self._monitor: SqlMonitor = session.unit.admitted_by[1]  # type: ignore[index]  # it has begun
        self._flush = flush

    @property
    def dialect(self) -> str:
        """Name of the database's dialect."""
        return self._plans.dialect

    @property
    def reading(self) -> bool:
        """True if a SELECT without locks may be sent."""
        session: Any = self.session
        listeners = session.dispatch
        return (
            self._in_order(session)
            and not (listeners.do_orm_execute or listeners.loaded_as_persistent)
            and (session.autoflush or session._is_clean())  # noqa: SLF001 - the first test of a flush; it has no public name
        )

    @property
    def writing(self) -> bool:
        """True if a write may be sent that doesn't come after anything to be flushed."""
        session: Any = self.session
        return self.may_write and session._is_clean()  # noqa: SLF001 - as above

    @property
    def may_write(self) -> bool:
        """True if a write may be sent, whatever is to be flushed."""
        return self._in_order(self.session) and not (self.unit.refuses_writes or self.unit.blocked_by)

    def _in_order(self, session: Any) -> bool:
        unit, transaction = self.unit, session._transaction  # noqa: SLF001 - `is_active` is slower
        connection: Any = unit.connection
        return (
            not (unit.lost or unit.frames[-1].broken)
            and (transaction is None or transaction.is_active)
            and (connection is None or not connection.closed)
            and not self._plans.followed()
        )

    async def read(self, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        """Send a SELECT, after a flush if there is anything to flush. Raises what the session would raise for it."""
        session: Any = self.session
        if session.autoflush and not session._is_clean():  # noqa: SLF001 - as above
            await self._flush()
        return await self.send(statement, parameters)

    async def send(self, statement: Executable, parameters: Mapping[str, Any], *, flushing: bool = False) -> Answer:
        """Send one statement; return its answer. Raises what the session would raise for it; with `flushing`, an error
        has the effects of a failed flush.
        """
        unit = self.unit
        unit.before_statement()
        if unit.connection is None:
            await self._connect()
        connection: Any = unit.connection
        plan = self._plans.of(statement)
        values = None if plan is None else plan.values(parameters)
        if plan is None or values is None:
            work = partial(self._by_sqlalchemy, connection, statement, parameters)
            return await shield(greenlet_spawn(partial(self.session.as_flush, work) if flushing else work), unit)
        return await shield(self._directly(plan, values, connection, flushing=flushing), unit)

    async def store(self, model: type[Any], given: Mapping[str, Any]) -> None:
        """Store a row of another model, given by attribute, without attaching it to the session."""
        rows = NewRows(model, self.session.execution_options)
        values = rows.of(given)
        await self.send(insert_of(rows.table, tuple(rows.missing(values) or ())), values)

    async def _connect(self) -> None:
        """Take a connection; BEGIN is sent with the first statement.

        With a connection at hand nothing is awaited, unless a deadline must be sent to the server, or there are
        `after_begin` listeners.
        """
        session: Any = self.session
        if self.unit.deadline is None and not session.dispatch.after_begin and self._plans.ready():
            session.connect()
        else:
            await shield(greenlet_spawn(session.connect), self.unit)

    def _by_sqlalchemy(self, connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Answer:
        result = connection.execute(statement, parameters)
        self._plans.learn(statement, parameters, result)
        return Answer(result.all() if result.returns_rows else (), result.rowcount)

    async def _directly(
        self, plan: CompiledStatement, values: Sequence[Any], connection: Connection, *, flushing: bool
    ) -> Answer:
        unit = self.unit

        def fail(statement: str, sent: Sent) -> None:
            work = partial(_fail, connection, statement, sent)
            self.session.as_flush(work) if flushing else work()

        answer = await send_directly(unit, connection.connection, plan, values, self._monitor, fail)
        unit.executing = 0.0
        return plan.read(answer)


def _fail(connection: Connection, statement: str, sent: Sent) -> None:
    """Raise the driver's error through SQLAlchemy, as its typed error."""
    connection.exec_driver_sql(statement, execution_options={SENT_OPTION: sent})


@lru_cache(maxsize=MAX_CACHED_INSERTS)
def insert_of(table: Table, returned: tuple[str, ...]) -> Insert:
    """Return the INSERT of one row with all columns but these, which it reads back."""
    statement = insert(table)
    return statement.returning(*(table.columns[key] for key in returned)) if returned else statement
