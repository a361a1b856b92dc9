"""Direct statements: what SQLAlchemy has compiled and sent once, sent again by asyncpg itself.

To execute a statement SQLAlchemy takes longer than asyncpg and PostgreSQL together for a read by primary key. So the
first time an autocommit statement goes its way, a plan is kept of what it made of it: the text, where each parameter
comes from, what is done with each value. An error is raised by SQLAlchemy all the same, from the driver's answer, so
that it has its usual name and does what it does to connection and pool.
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
from unitwork.connections.labels import NONE, Labels, labels_of
from unitwork.connections.pool import Pool

SENT_OPTION: Final = "unitwork_sent"
"""The execution option under which a statement carries its `Sent`."""
_Process = Callable[[Any], Any] | None


class Answer(NamedTuple):
    """What a statement gave: its rows, and how many it matched."""

    rows: Sequence[Sequence[Any]]
    matched: int


class _Parameter(NamedTuple):
    """One parameter of the driver's: what is given under the name, or else what `default` makes."""

    name: str
    default: Callable[[None], Any] | None
    process: _Process


@dataclass(frozen=True)
class CompiledStatement:
    """How a statement is sent, and its answer read."""

    text: str
    parameters: tuple[_Parameter, ...]
    returns: bool
    dialect: Dialect
    processors: tuple[_Process, ...] | None
    """Of each column; None where all values are as the driver gives them."""
    labels: Labels
    """Of the enums among the columns."""

    def values(self, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """For the driver; None for values that SQLAlchemy refuses, which then says so."""
        values = []
        try:
            for name, default, process in self.parameters:
                value = given[name] if default is None else default(None)
                values.append(value if process is None else process(value))
        except Exception:  # noqa: BLE001 - a type or default may raise anything, and SQLAlchemy is to raise it, not we
            return None
        return values

    async def send(self, pooled: PoolProxiedConnection, values: Sequence[Any]) -> Answer:
        """The answer, to be `read`. Raises what the driver does."""
        if outdated.is_behind(self.dialect, pooled.dbapi_connection):
            await outdated.catch_up(self.dialect, pooled.dbapi_connection)
        driver: Any = pooled.driver_connection
        if not self.returns:
            status = await driver.execute(self.text, *values)
            return Answer((), int(status.rpartition(" ")[2]))
        rows = await driver.fetch(self.text, *values)
        return Answer(rows, len(rows))

    def read(self, answer: Answer) -> Answer:
        """With the values that Python has in the place of the driver's. Raises `UnknownLabel`."""
        processors = self.processors
        if processors is None or not answer.rows:
            return answer
        try:
            rows = [
                [value if process is None else process(value) for value, process in zip(row, processors, strict=True)]
                for row in answer.rows
            ]
        except LookupError:
            self.labels.check(answer.rows)
            raise
        return Answer(rows, answer.matched)


class CheckedOutConnection:
    """A connection out of the pool, as a unit holds it."""

    closed: Final = False

    def __init__(self, engine: Engine, connection: PoolProxiedConnection) -> None:
        self.engine: Final = engine
        self.dialect: Final = engine.dialect
        self.connection: Final = connection

    @property
    def invalidated(self) -> bool:
        return not self.connection.is_valid


class CompiledStatements:
    """Of one engine, for as long as their statements are kept. There are none where another driver is at work, and none
    behind a transaction pooler: a statement that is prepared in one trip may be gone in the next.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = engine.pool if isinstance(engine.pool, Pool) and engine.dialect.driver == "asyncpg" else None
        self._plans: WeakKeyDictionary[Executable, CompiledStatement | None] = WeakKeyDictionary()
        self._known = self._outdated()

    @property
    def possible(self) -> bool:
        """Whether there can be any."""
        return self._pool is not None

    def of(self, statement: Executable) -> CompiledStatement | None:
        """None for what goes SQLAlchemy's way: a statement that hasn't gone it yet, or can go no other, and any while
        somebody listens to what SQLAlchemy sends, or has it logged.
        """
        if self._known != self._outdated():
            self._plans.clear()
            self._known = self._outdated()
        plan = self._plans.get(statement)
        return None if plan is None or self.followed() else plan

    def learn(self, statement: Executable, given: Mapping[str, Any], result: CursorResult[Any]) -> None:
        """From what SQLAlchemy has just sent with these parameters; its rows are still to be fetched."""
        if self._pool is not None and statement not in self._plans and self._known == self._outdated():
            driver = result.connection.connection.driver_connection
            self._plans[statement] = _plan(given, result) if has_session(driver) else None

    def _outdated(self) -> float:
        """When a statement was last found outdated; 0 where none was."""
        since: float = getattr(self._engine.dialect, "_invalidate_schema_cache_asof", 0)
        return since

    def ready(self) -> bool:
        """Whether a connection can be taken at once, with nothing to wait for."""
        return self._pool is not None and self._pool.ready()

    def keeps(self) -> bool:
        """Whether a connection that is in order is given back at once, with nothing to wait for."""
        return self._pool is not None and self._pool.keeps()

    def followed(self) -> bool:
        """Whether somebody listens to what SQLAlchemy sends, or has it logged."""
        engine: Any = self._engine
        # What SQLAlchemy itself asks before it tells anybody; on PostgreSQL we listen to no event of an engine (0060).
        return bool(engine._has_events or engine.logger.isEnabledFor(logging.INFO))  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them


def _plan(given: Mapping[str, Any], result: CursorResult[Any]) -> CompiledStatement | None:
    """None where SQLAlchemy does more than a plan can."""
    context: Any = result.context
    compiled = context.compiled
    if (
        not isinstance(compiled, SQLCompiler)
        or context.executemany
        or compiled.insert_prefetch
        or context.statement != compiled.string  # parameters were written into it
        or compiled.positiontup is None
    ):
        return None
    parameters = [_parameter(name, context, given) for name in compiled.positiontup]
    known = [parameter for parameter in parameters if parameter is not None]
    if len(known) < len(parameters):
        return None
    described: Any = result.cursor.description if result.returns_rows else ()
    metadata: Any = result._metadata  # noqa: SLF001 - what SQLAlchemy itself does with each column, which is its expression's type's
    processors = tuple(metadata._processors) if described else ()  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them
    if len(processors) != len(described) or metadata._tuplefilter is not None:  # noqa: SLF001 - SQLAlchemy's own processors; test_same_reads pins them
        return None
    return CompiledStatement(
        context.statement,
        tuple(known),
        bool(described),
        context.dialect,
        processors if any(processors) else None,
        labels_of(context) if described else NONE,
    )


def _parameter(name: str, context: Any, given: Mapping[str, Any]) -> _Parameter | None:
    compiled: SQLCompiler = context.compiled
    bind, dialect = compiled.binds[name], context.dialect
    process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    stamp = next((column.onupdate for column in compiled.update_prefetch if column.key == name), None)
    if stamp is not None:
        make = getattr(stamp, "arg", None)
        # SQLAlchemy's own wrapper, of a function without arguments; others want to know what is being executed.
        wrapped = isinstance(make, FunctionType) and make.__code__.co_filename == schema.__file__
        return _Parameter(name, make, process) if wrapped else None
    if bind.callable is not None:
        return None
    if name in given:
        return _Parameter(name, None, process)
    constant = context.compiled_parameters[0][name]  # not the bind's: statements that differ in it alone share that
    return _Parameter(name, lambda _: constant, process)


@dataclass(frozen=True, eq=False)
class Sent:
    """A statement that the driver has failed at, for SQLAlchemy to raise."""

    error: BaseException
    at: float

    def fail(self, context: Any) -> NoReturn:
        """In the place of the dialect's `do_execute`."""
        context.unitwork_sent = self.at
        raise_sent(context.root_connection, self.error)
