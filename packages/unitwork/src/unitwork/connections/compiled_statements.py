"""Compiled statements: send a statement that SQLAlchemy has compiled and sent once again directly through asyncpg.

For a read by primary key, SQLAlchemy's share of the time is longer than asyncpg's and PostgreSQL's together. So when an
autocommit statement goes through SQLAlchemy for the first time, a plan is kept: the text, the source of each parameter,
the processing of each value. Errors of the driver are still raised through SQLAlchemy, so that they get their usual
type and their effect on connection and pool.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Final, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from sqlalchemy import CursorResult, Dialect, Engine, Executable
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql import schema
from sqlalchemy.sql.compiler import SQLCompiler

from unitwork.backends import outdated
from unitwork.backends.driver_errors import raise_sent
from unitwork.backends.postgresql import has_session
from unitwork.connections.direct_checkout import DirectCheckout
from unitwork.connections.labels import NONE, Labels, labels_of
from unitwork.connections.pool import Pool

SENT_OPTION: Final = "unitwork_sent"
"""Execution option that holds a statement's `Sent`."""
_Process = Callable[[Any], Any] | None


class Answer(NamedTuple):
    """Rows of a statement, and the number of rows it matched."""

    rows: Sequence[Sequence[Any]]
    matched: int


class _Parameter(NamedTuple):
    """One parameter for the driver: the value given under `name`, or the result of `default`."""

    name: str
    default: Callable[[None], Any] | None
    process: _Process


@dataclass(frozen=True)
class CompiledStatement:
    """CompiledStatement of a statement: its text, its parameters and the conversion of its answer."""

    text: str
    parameters: tuple[_Parameter, ...]
    returns: bool
    dialect: Dialect
    processors: tuple[tuple[int, Callable[[Any], Any]], ...]
    """Result processors, each with the index of its column; other values are used as the driver returns them."""
    labels: Labels
    """Labels of the enum columns."""

    def values(self, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the driver's parameter values; None if SQLAlchemy would refuse one, which then raises the error."""
        values = []
        try:
            for name, default, process in self.parameters:
                value = given[name] if default is None else default(None)
                values.append(value if process is None else process(value))
        except Exception:  # noqa: BLE001 - a type or default may raise anything, and SQLAlchemy is to raise it, not we
            return None
        return values

    async def send(self, pooled: PoolProxiedConnection | DirectCheckout, values: Sequence[Any]) -> Answer:
        """Send the statement; return the answer in the driver's values, for `read`. Raises the driver's errors."""
        if outdated.is_behind(self.dialect, pooled.dbapi_connection):
            await outdated.catch_up(self.dialect, pooled.dbapi_connection)
        driver: Any = pooled.driver_connection
        if not self.returns:
            status = await driver.execute(self.text, *values)
            return Answer((), int(status.rpartition(" ")[2]))
        rows = await driver.fetch(self.text, *values)
        return Answer(rows, len(rows))

    def read(self, answer: Answer) -> Answer:
        """Return the answer converted to Python's values. Raises `UnknownLabel`."""
        processors = self.processors
        if not processors or not answer.rows:
            return answer
        rows = list(map(list, answer.rows))
        try:
            for row in rows:
                for at, process in processors:
                    row[at] = process(row[at])
        except LookupError:
            self.labels.check(answer.rows)
            raise
        return Answer(rows, answer.matched)


class CheckedOutConnection:
    """A connection checked out of the pool, in the form that a unit holds."""

    closed: Final = False

    def __init__(self, engine: Engine, connection: PoolProxiedConnection) -> None:
        self.engine: Final = engine
        self.dialect: Final = engine.dialect
        self.connection: Final = connection

    @property
    def invalidated(self) -> bool:
        return not self.connection.is_valid

    def give_back(self) -> bool:
        """Return the connection to the pool if that needs no wait; return True if it did."""
        pool = self.engine.pool
        if not (isinstance(pool, Pool) and pool.keeps()):
            return False
        self.connection.close()
        return True

    def proxied(self) -> PoolProxiedConnection:
        """Return SQLAlchemy's proxy of it."""
        return self.connection


class CompiledStatements:
    """Per-engine cache of compiled statements, kept as long as the statements themselves.

    Always empty with another driver than asyncpg, and behind a transaction pooler, where a statement prepared in one
    trip may be gone in the next.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = engine.pool if isinstance(engine.pool, Pool) and engine.dialect.driver == "asyncpg" else None
        self._plans: WeakKeyDictionary[Executable, CompiledStatement | None] = WeakKeyDictionary()
        self._known = self._outdated()

    @property
    def possible(self) -> bool:
        """True if the engine can have any."""
        return self._pool is not None

    @property
    def dialect(self) -> str:
        """Name of the engine's dialect."""
        return self._engine.dialect.name

    def of(self, statement: Executable) -> CompiledStatement | None:
        """Return the plan; None for a statement that must go through SQLAlchemy.

        That is one that hasn't been sent yet or can't be planned, and any statement while SQLAlchemy's events are
        listened to or its log is on.
        """
        if self._known != self._outdated():
            self._plans.clear()
            self._known = self._outdated()
        plan = self._plans.get(statement)
        return None if plan is None or self.followed() else plan

    def learn(self, statement: Executable, given: Mapping[str, Any], result: CursorResult[Any]) -> None:
        """Keep a plan of a statement that SQLAlchemy has just sent with these parameters. Call before fetching its
        rows.
        """
        if self._pool is not None and statement not in self._plans and self._known == self._outdated():
            driver = result.connection.connection.driver_connection
            self._plans[statement] = _plan(given, result) if has_session(driver) else None

    def _outdated(self) -> float:
        """Return when a statement was last found outdated; 0 if none was."""
        since: float = getattr(self._engine.dialect, "_invalidate_schema_cache_asof", 0)
        return since

    def take(self) -> DirectCheckout | None:
        """Take a connection that can be taken without waiting; None if none can."""
        if self._pool is None:
            return None
        entry = self._pool.take_ready()
        return None if entry is None else DirectCheckout(self._engine, self._pool, entry)

    def ready(self) -> bool:
        """True if a connection can be taken without waiting."""
        return self._pool is not None and self._pool.ready()

    def keeps(self) -> bool:
        """True if a connection in order can be returned without waiting."""
        return self._pool is not None and self._pool.keeps()

    def followed(self) -> bool:
        """True if SQLAlchemy's events are listened to, or its log is on."""
        engine: Any = self._engine
        # SQLAlchemy's own test before it calls a listener; on PostgreSQL we listen to no event of an engine (0060).
        return bool(engine._has_events or engine.logger.isEnabledFor(logging.INFO))  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them


def _plan(given: Mapping[str, Any], result: CursorResult[Any]) -> CompiledStatement | None:
    """Return the plan; None if SQLAlchemy does more than a plan can express."""
    context: Any = result.context
    compiled = context.compiled
    if (
        not isinstance(compiled, SQLCompiler)
        or context.executemany
        or compiled.insert_prefetch
        or context.statement != compiled.string  # parameters were rendered into it
        or compiled.positiontup is None
    ):
        return None
    parameters = [_parameter(name, context, given) for name in compiled.positiontup]
    known = [parameter for parameter in parameters if parameter is not None]
    if len(known) < len(parameters):
        return None
    described: Any = result.cursor.description if result.returns_rows else ()
    metadata: Any = result._metadata  # noqa: SLF001 - SQLAlchemy's conversion of each column, given by its expression's type
    processors = tuple(metadata._processors) if described else ()  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them
    if len(processors) != len(described) or metadata._tuplefilter is not None:  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them
        return None
    return CompiledStatement(
        context.statement,
        tuple(known),
        bool(described),
        context.dialect,
        tuple((at, process) for at, process in enumerate(processors) if process is not None),
        labels_of(context) if described else NONE,
    )


def _parameter(name: str, context: Any, given: Mapping[str, Any]) -> _Parameter | None:
    compiled: SQLCompiler = context.compiled
    bind, dialect = compiled.binds[name], context.dialect
    process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    stamp = next((column.onupdate for column in compiled.update_prefetch if column.key == name), None)
    if stamp is not None:
        make = getattr(stamp, "arg", None)
        # SQLAlchemy's own wrapper of a function without arguments; other functions use the execution context.
        wrapped = isinstance(make, FunctionType) and make.__code__.co_filename == schema.__file__
        return _Parameter(name, make, process) if wrapped else None
    if bind.callable is not None:
        return None
    if name in given:
        return _Parameter(name, None, process)
    constant = context.compiled_parameters[0][name]  # not the bind's value: statements that differ in it share the bind
    return _Parameter(name, lambda _: constant, process)


@dataclass(frozen=True, eq=False)
class Sent:
    """Statement that failed in the driver, whose error SQLAlchemy is to raise."""

    error: BaseException
    at: float

    def fail(self, context: Any) -> NoReturn:
        """Raise the driver's error instead of the dialect's `do_execute`."""
        context.unitwork_sent = self.at
        raise_sent(context.root_connection, self.error)
