"""Engine listeners: report transactions, savepoints, statements and errors to the unit they belong to.

Listeners are stateless functions, registered once per engine; a connection's execution options hold the unit it works
for.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Connection, Dialect, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.elements import ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.backends import mariadb_errors, outdated, postgresql
from unitwork.backends.driver_errors import LOST, raise_sent, translate
from unitwork.backends.registry import backend_of
from unitwork.backends.statement_effects import Effect, belongs_to_block, effect_of
from unitwork.backends.transaction_events import hook_savepoints, mark_commits, notes_at
from unitwork.call_site import asking
from unitwork.connections.behind_the_block import check_after, open_before
from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import SENT_OPTION
from unitwork.connections.connecting import name_connect_failures
from unitwork.connections.guard import guard_pool, note_effect
from unitwork.connections.labels import check_labels, labels_of
from unitwork.connections.primary import not_primary
from unitwork.errors import (
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabaseError,
    DriverError,
    NotPrimary,
    NotSupported,
    ReadOnlyTransaction,
    SecondWriterImpossible,
    StatementOutdated,
    TransactionIsOurs,
    TransactionRolledBack,
)
from unitwork.held_connection import OWN_OPTION, SENDER_OPTION
from unitwork.remembered_error import RememberedError
from unitwork.unit import UNIT, Follower, Unit

_SAVEPOINTS: Final = (SavepointClause, RollbackToSavepointClause, ReleaseSavepointClause)
"""Clauses that SQLAlchemy sends for `begin_nested`."""
_followers: Final[WeakKeyDictionary[Dialect, list[Follower]]] = WeakKeyDictionary()

WRITE_REFUSED: Final = frozenset({"25006", "SQLITE_READONLY"})
"""SQLSTATEs and SQLite codes with which a database refuses a write in a read-only transaction."""


def install(engine: AsyncEngine) -> None:
    """Register the listeners that every engine needs, one that the caller built too. Safe to call again for the same
    engine.
    """
    target = engine.sync_engine
    if event.contains(target, "handle_error", _error):
        return
    event.listen(target, "handle_error", _error)
    name_connect_failures(engine)
    guard_pool(engine)
    event.listen(target, "do_execute", _execute)
    event.listen(target, "do_executemany", _execute_many)
    hook_savepoints(engine, begin=_savepoint, rollback=_rollback_savepoint, release=_release_savepoint)
    backend_of(target.dialect).install(engine, begin=_begin, commit=_commit, rollback=_rollback)
    mark_commits(engine)


def follow(engine: AsyncEngine, follower: Follower) -> None:
    """Register a callback for each statement that the driver has executed. It must not raise."""
    followers(engine).append(follower)


def followers(engine: AsyncEngine) -> list[Follower]:
    """Return the engine's list of callbacks; later ones are added to the same list."""
    return _followers.setdefault(engine.sync_engine.dialect, [])


def unfollow(engine: AsyncEngine, follower: Follower) -> None:
    """Unregister a callback."""
    followers(engine).remove(follower)


def _unit(connection: Connection | None) -> Unit | None:
    return None if connection is None else connection.get_execution_options().get(UNIT)


def _error(context: ExceptionContext) -> BaseException | None:
    statement = context.execution_context
    if statement is not None and statement.execution_options.get("skip_user_error_events"):
        return None  # SQLAlchemy's own, which detects by an error that a MariaDB table is missing
    connection = context.connection
    unit = _unit(connection)
    error = _named(context, unit)
    raised = error or context.sqlalchemy_exception
    if unit is not None and raised is not None:
        with suppress(TypeError):  # one of Python's own classes, of which there are no weak references
            unit.raised = ref(raised)
    return error


def _named(context: ExceptionContext, unit: Unit | None) -> BaseException | None:
    """Return the typed error to raise instead, and record it in the unit; None to keep the original."""
    error = translate(context)
    connection = context.connection
    cancelled = isinstance(context.original_exception, asyncio.CancelledError)
    if cancelled and unit is not None and unit.waited_out(context.original_exception):
        context.is_disconnect = cancelled = False  # nothing is in flight
    if cancelled and connection is not None and not connection.closed and not connection.invalidated:
        driver = connection.connection.driver_connection
        if driver is not None:
            backend_of(context.dialect).abandon(driver)
    if isinstance(error, DriverError):
        error = _refused(error, context, unit)
    if isinstance(error, StatementOutdated):
        outdated.forget(context)
    if unit is not None and not unit.transactional and _answer_lost(context, error):
        error = CommitOutcomeUnknown()
    # Exceptions of listeners and of bind processing pass here too; only the database's own rule out a commit.
    of_database = isinstance(error, DriverError | NotPrimary) or isinstance(context.sqlalchemy_exception, DBAPIError)
    if unit is not None and (context.is_disconnect or of_database):
        cause = context.original_exception
        unit.failed(
            RememberedError(error or cause, cause=cause, call_site=asking()[0]), connection_lost=context.is_disconnect
        )
    return error


def _refused(error: DriverError, context: ExceptionContext, unit: Unit | None) -> DatabaseError:
    """Return the error of a refused write: the unit's own fault, or its server's, which the pool then leaves."""
    if unit is not None and error.sqlstate in WRITE_REFUSED:
        if unit.blocked_by is not None:
            return SecondWriterImpossible(unit.blocked_by)
        if unit.refuses_writes:
            return ReadOnlyTransaction()
        if unit.replica is not None:
            return error  # a replica takes no writes, and is none the worse for it
    return not_primary(error, context) or error


def _answer_lost(context: ExceptionContext, error: BaseException | None) -> bool:
    """True if a write outside a transaction was sent and its answer was lost."""
    lost = isinstance(error, ConnectionLost) and error.sqlstate in {LOST, mariadb_errors.LOST}
    return (lost or outdated.had_run(error)) and not (context.statement or "").startswith("SELECT")


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    sent = context.execution_options.get(SENT_OPTION)
    if sent is not None:
        sent.fail(context)
    sender = context.execution_options.get(SENDER_OPTION)
    execute = context.dialect.do_execute if sender is None else sender.send
    return _execute_guarded(execute, cursor, statement, parameters, context)


def _execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    return _execute_guarded(context.dialect.do_executemany, cursor, statement, parameters, context)


def _execute_guarded(execute: Callable[..., None], cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Execute a statement with all guards: it belongs to the running task, ends no transaction, and is shielded.

    Return False to leave the statement to SQLAlchemy, as those it sends to inspect a new connection.
    """
    connection = context.root_connection
    unit = _unit(connection)
    if unit is None:
        if notes_at(connection.connection) is None:
            return False
        effect = effect_of(statement, context.dialect.name)
        if effect in {Effect.RESETTABLE, Effect.LASTING, Effect.COMMITTING}:
            note_effect(connection.connection.info, effect)
        context.unitwork_sent = time.monotonic()
        execute(cursor, statement, parameters, context)
        for follower in _followers.get(context.dialect, ()):
            follower(None, connection, cursor, statement, context)
        check_labels(labels_of(context), context, cursor)
        return True
    unit.check_use()
    effect = effect_of(statement, context.dialect.name)
    if effect is not Effect.NONE and unit.connected and not context.execution_options.get(OWN_OPTION):
        # Before it is connected, the BEGIN is ours.
        _guard_effect(effect, unit, connection, statement, context)
    if unit.cancelled is not None and not unit.ending:
        raise unit.cancelled
    was_open = open_before(unit, connection, context)
    if unit.carried:
        _send(unit, execute, cursor, statement, parameters, context)
    else:
        await_only(shield(greenlet_spawn(_send, unit, execute, cursor, statement, parameters, context), unit))
    for follower in unit.followers:
        follower(unit, connection, cursor, statement, context)
    if was_open is not None:
        check_after(unit, connection, statement, was_open=was_open)
    labels = labels_of(context)
    if labels:
        check_labels(labels, context, cursor)
    return True


def _guard_effect(effect: Effect, unit: Unit, connection: Connection, statement: str, context: Any) -> None:
    """Raises `TransactionIsOurs` for what belongs to the block, and `NotSupported` for what would stay with a session
    that a pooler hands on; notes what has to be undone before the next unit.
    """
    if effect is Effect.TRANSACTION:
        if not isinstance(getattr(context.compiled, "statement", None), _SAVEPOINTS):
            raise TransactionIsOurs(belongs_to_block(statement, context.dialect.name))
        return
    if effect is Effect.COMMITTING and unit.transactional:
        raise TransactionIsOurs("commit")
    pooled = connection.connection
    if postgresql.behind_pooler(pooled.driver_connection):
        raise NotSupported(
            "session of one's own behind a transaction pooler, and this statement sets something for the session",
            context.dialect.name,
            "Use SET LOCAL, `set_config(…, true)`, pg_advisory_xact_lock or a table that is dropped on commit.",
        )
    note_effect(pooled.info, effect)


def _send(unit: Unit, execute: Callable[..., None], cursor: Any, statement: str, parameters: Any, context: Any) -> None:
    unit.executing = context.unitwork_sent = time.monotonic()
    unit.statement = statement
    try:
        execute(cursor, statement, parameters, context)
    finally:
        if not unit.streaming:
            unit.executing = 0.0


def _begin(connection: Connection) -> None:
    unit = _unit(connection)
    backend_of(connection.dialect).begin(connection, unit)
    if unit is not None:
        unit.begun(connection)


def _commit(connection: Connection) -> None:
    unit = _unit(connection)
    if unit is None:
        return
    if unit.commit_error is not None:
        raise_sent(connection, unit.commit_error)
    if unit.ending or not unit.transactional:
        return
    refusal = TransactionIsOurs("commit")
    unit.root.doom(refusal)
    # Raising without this rollback would return the connection with its transaction open.
    dbapi_connection: Any = connection.connection.dbapi_connection
    dbapi_connection.rollback()
    raise refusal


def _rollback(connection: Connection) -> None:
    unit = _unit(connection)
    if unit is not None and not unit.ending and unit.transactional:
        unit.root.doom(None)


def _savepoint(connection: Connection, name: str) -> None:
    unit = _unit(connection)
    if unit is not None:
        unit.push(name)


def _rollback_savepoint(connection: Connection, name: str) -> None:
    unit = _unit(connection)
    if unit is not None:
        unit.pop_rolled_back(name)


def _release_savepoint(connection: Connection, _name: str) -> None:
    unit = _unit(connection)
    if unit is None or len(unit.frames) < 2:
        return
    if unit.top.doomed:
        # PostgreSQL refuses to release it, and SQLite would keep its half: both end the same way.
        released = unit.frames.pop()
        unit.top.doom(released.doomed_by)
        raise TransactionRolledBack from released.cause
    unit.pop_released()
