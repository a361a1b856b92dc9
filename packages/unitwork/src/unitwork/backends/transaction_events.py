"""Hooks in a dialect's own methods, in the place of an engine's events.

An engine with one listener to a connection's events has each of a dozen of them dispatched, for every connection anew,
which is a good part of what a short transaction costs. Without one it skips them all.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.unit import OPENED_BY, UNIT, Unit

HELD: Final = "unitwork_held"
"""Under which a pool's entry knows the connection that a unit has over it, until it is given back."""


Listener = Callable[[Connection], None]
OfSavepoint = Callable[[Connection, str], None]


def hook_savepoints(engine: AsyncEngine, *, begin: OfSavepoint, rollback: OfSavepoint, release: OfSavepoint) -> None:
    """Have each told before it happens. Once for each engine. (The event of a savepoint doesn't know its name.)"""
    dialect: Any = engine.sync_engine.dialect
    dialect.do_savepoint = _named(dialect.do_savepoint, begin)
    dialect.do_rollback_to_savepoint = _named(dialect.do_rollback_to_savepoint, rollback)
    dialect.do_release_savepoint = _named(dialect.do_release_savepoint, release)


def hook_transactions(engine: AsyncEngine, *, begin: Listener, commit: Listener, rollback: Listener) -> None:
    """Have each told, before it happens on a connection that works for a unit. Once for each engine."""
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
    """Have a unit know whether its COMMIT is sent, and answered: a listener may raise before that, or after. Once for
    each engine.
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
    """Have each told by SQLAlchemy's events: where a connection without a unit has to hear of its transactions too."""
    target = engine.sync_engine
    event.listen(target, "begin", begin)
    event.listen(target, "commit", commit)
    event.listen(target, "rollback", rollback)


def _over_pool(method: Callable[[Any], None], tell: Listener) -> Callable[[Any], None]:
    def told(pooled: Any) -> None:
        notes = notes_at(pooled)
        if notes is not None and HELD in notes:
            tell(notes[HELD])
        method(pooled)

    return told


def _named(method: OfSavepoint, tell: OfSavepoint) -> OfSavepoint:
    def told(connection: Connection, name: str) -> None:
        tell(connection, name)
        method(connection, name)

    return told


def notes_at(pooled: Any) -> Mapping[str, Any] | None:
    """What is noted at a connection of the pool; None while SQLAlchemy gets to know the database over it."""
    try:
        notes: Mapping[str, Any] = pooled.info
    except NotImplementedError:  # what SQLAlchemy stands in for a pool's connection then has no place for notes
        return None
    return notes
