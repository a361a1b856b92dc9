"""Lone statements: a unit that is one statement, sent without a session in one crossing to the driver.

A session's own state, and the crossings to begin and to end it, would cost more than a read by primary key itself.
Guards, cancellation, drain and errors are those of every other unit.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable, Select
from sqlalchemy.util import greenlet_spawn

from database.carry import carry
from database.errors import CommitOutcomeUnknown, ConnectionLost
from database.place import calling_place
from database.session_factory import SessionFactory
from database.unit import Unit

T = TypeVar("T")
DEAD_AT_ONCE: Final = 1.0
"""Seconds within which a connection that died while it idled says so; one that says it later was at work."""


async def send_alone(
    factory: SessionFactory,
    statement: Executable,
    parameters: Mapping[str, Any],
    take: Callable[[CursorResult[Any]], T],
) -> T:
    """What `take`, which must not wait, makes of the statement's result. For a caller with no unit around it.

    The statement commits by itself. A read that meets a connection which died in the pool is sent once more. Raises
    what a session would raise for it.
    """
    unit = Unit(transactional=False, lone=True, statements=1)
    engine = factory.engine()
    unit.enter(calling_place(), parent=None)
    bind, options = factory.admit(engine, unit)
    reads = isinstance(statement, Select)
    try:
        return await carry(
            greenlet_spawn(_send, bind.sync_engine, unit, options, reads, statement, parameters, take), unit
        )
    finally:
        unit.end()
        factory.left(unit)


def _send(engine: Engine, unit: Unit, options: dict[str, Any], reads: bool, *work: Any) -> Any:
    begun = time.monotonic()
    try:
        return _once(engine, unit, options, *work)
    except (ConnectionLost, CommitOutcomeUnknown):
        if not reads or time.monotonic() - begun > DEAD_AT_ONCE:
            raise
    # SQLAlchemy has by now dropped every connection that is as old.
    unit.lost = False
    return _once(engine, unit, options, *work)


def _once(
    engine: Engine,
    unit: Unit,
    options: dict[str, Any],
    statement: Executable,
    parameters: Mapping[str, Any],
    take: Callable[[CursorResult[Any]], T],
) -> T:
    connection = engine.connect()
    try:
        return take(connection.execution_options(**options).execute(statement, parameters))
    finally:
        _give_back(connection, unit)


def _give_back(connection: Connection, unit: Unit) -> None:
    unit.ending = True
    unit.executing = time.monotonic()  # a cancellation waits for this too
    try:
        connection.close()
    finally:
        unit.ending, unit.executing, unit.connection = False, 0.0, None
