"""Transaction events: hooks in a dialect's own methods, instead of an engine's events.

With a single listener to an engine's connection events, SQLAlchemy dispatches a dozen of them for every connection, a
considerable part of a short transaction's cost. Without listeners it skips them all.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.unit import OPENED_BY, UNIT, Unit

HELD: Final = "unitwork_held"
"""Key in a pool entry's `info` that holds the connection that a unit has over it, until its return."""


Listener = Callable[[Connection], None]
SavepointListener = Callable[[Connection, str], None]


def hook_savepoints(
    engine: AsyncEngine, *, begin: SavepointListener, rollback: SavepointListener, release: SavepointListener
) -> None:
    """Call each listener before the operation. Call once per engine. (SQLAlchemy's savepoint events lack the name.)"""
    dialect: Any = engine.sync_engine.dialect
    dialect.do_savepoint = _named(dialect.do_savepoint, begin)
    dialect.do_rollback_to_savepoint = _named(dialect.do_rollback_to_savepoint, rollback)
    dialect.do_release_savepoint = _named(dialect.do_release_savepoint, release)


def hook_transactions(engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
    """Call each listener before the operation on a connection that works for a unit. Call once per engine."""
    dialect: Any = engine.sync_engine.dialect
    set_options = dialect.set_connection_execution_options

    def remember(connection: Connection, options: Mapping[str, Any]) -> None:
        if UNIT in options:
            connection.connection.info[HELD] = connection
        set_options(connection, options)

    dialect.set_connection_execution_options = remember
    dialect.do_begin = _over_pool(dialect.do_begin, begin)
    dialect.do_commit = _over_pool(dialect.do_commit, commit)
    dialect.do_rollback = _over_pool(dialect.do_rollback, rollback)


def mark_commits(engine: AsyncEngine) -> None:
    """Record on the unit when its COMMIT was sent, and when it was answered: a listener may raise before or after that.
    Call once per engine.
    """
    dialect: Any = engine.sync_engine.dialect
    dialect.do_commit = _marked(dialect.do_commit)


def _marked(method: Callable[[Any], None]) -> Callable[[Any], None]:
    def marked(pooled: Any) -> None:
        notes = notes_at(pooled)
        unit: Unit | None = None if notes is None else notes.get(OPENED_BY)
        if unit is None or not unit.ending:
            method(pooled)
            return
        unit.commit_sent, unit.commit_answered = True, False
        method(pooled)
        unit.commit_answered = True

    return marked


def listen(engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
    """Register the listeners for SQLAlchemy's events: for databases where a connection without a unit needs them
    too.
    """
    target = engine.sync_engine
    event.listen(target, "begin", begin)
    event.listen(target, "commit", commit)
    event.listen(target, "rollback", rollback)


def _over_pool(method: Callable[[Any], None], listener: Listener) -> Callable[[Any], None]:
    def notifying(pooled: Any) -> None:
        notes = notes_at(pooled)
        if notes is not None and HELD in notes:
            listener(notes[HELD])
        method(pooled)

    return notifying


def _named(method: SavepointListener, listener: SavepointListener) -> SavepointListener:
    def notifying(connection: Connection, name: str) -> None:
        listener(connection, name)
        method(connection, name)

    return notifying


def notes_at(pooled: Any) -> Mapping[str, Any] | None:
    """Return the `info` of a pooled connection; None while SQLAlchemy inspects the database over it at first
    connect.
    """
    try:
        notes: Mapping[str, Any] = pooled.info
    except NotImplementedError:  # SQLAlchemy's stand-in for a pooled connection has no `info`
        return None
    return notes
