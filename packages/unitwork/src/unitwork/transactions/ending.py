"""How a unit ends: COMMIT with a known outcome, or ROLLBACK; then the connection is given back.

Carried to its end (`unitwork.connections.cancellation`), so that no cancellation leaves it half done.
"""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import ResourceClosedError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from unitwork.connections.cancellation import shield, shield_in_task
from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.pool import has_ended
from unitwork.connections.returned_connections import ALTERED, was_ended
from unitwork.errors import (
    BlockNeverLeft,
    CommitOutcomeUnknown,
    ConnectionLost,
    DriverError,
    TransactionRolledBack,
    TransactionTimeout,
)
from unitwork.outcome import Outcome
from unitwork.sessions import read_only
from unitwork.sessions.restoring import decide
from unitwork.sessions.session import ProvidedSession
from unitwork.transactions import direct_commit, lost_commit
from unitwork.transactions.transaction import ambient
from unitwork.unit import Frame, Hook, Unit

CLOSED: Final = "08003"
"""SQLSTATE connection_does_not_exist."""
COMMIT_TIMEOUT: Final = 30.0
"""Seconds that a COMMIT may take where nobody set a shorter time; then its outcome is unknown."""
ROLLBACK_TIMEOUT: Final = 3.0
"""Seconds that a ROLLBACK may take; then the connection is closed, and the server rolls back by itself."""

log = logging.getLogger("unitwork.database")


async def commit(session: ProvidedSession, unit: Unit, plans: CompiledStatements) -> None:
    """End a unit whose block ended normally; `plans` are its engine's.

    Raises `TransactionRolledBack` for a doomed one, the database's error when it refuses the COMMIT (rolled back),
    `CommitOutcomeUnknown` when its answer was lost; where the unit can find out (`unitwork.transactions.lost_commit`),
    it returns instead, or raises `ConnectionLost`.
    """
    if unit.joined or (len(unit.frames) > 1 and any(frame.of_block for frame in unit.frames)):
        unit.root.doom(BlockNeverLeft())
    try:
        if not session.clean and not (unit.transactional and unit.root.doomed):
            # A step of its own: a connection lost in here is no unknown outcome.
            await session.flush()
        if unit.transactional and unit.root.doomed:
            raise TransactionRolledBack from unit.root.cause
    except BaseException as error:
        await roll_back(session, unit, error)
        raise
    unit.ending = True
    if not unit.connected and unit.holders is not None:  # None: a fake, whose end is its own
        unit.outcome = Outcome.COMMITTED if unit.transactional else None
        session.sync_session.close()  # asks no driver
        unit.end()
        return
    within = _time_left(unit, COMMIT_TIMEOUT)
    inside = session.sync_session
    connection = direct_commit.ready(inside, unit, plans)
    if connection is None:
        work = greenlet_spawn(_commit_and_close, inside, unit)
    else:
        work = _commit_directly(inside, unit, connection, plans)
    try:
        await shield(work, unit, to_its_end=True, within=within)
    except CommitOutcomeUnknown as lost:  # a cancelled unit doesn't wait for more
        unit.outcome = await lost_commit.outcome(session.bind, unit)
        if unit.outcome is Outcome.UNKNOWN:
            raise
        if unit.outcome is Outcome.ROLLED_BACK:
            raise ConnectionLost(lost_commit.UNDONE, sqlstate=lost_commit.FAILED) from lost.__cause__
    finally:
        decide(inside)


async def roll_back(session: ProvidedSession, unit: Unit, error: BaseException) -> None:
    """End a unit whose block was left by `error`. One that leaves in a hurry, cancelled or out of time, doesn't wait
    long for a server that doesn't answer.
    """
    unit.ending = True
    hurried = isinstance(error, asyncio.CancelledError | TimeoutError | TransactionTimeout)
    work = greenlet_spawn(_give_back, session.sync_session, unit)
    await shield(work, unit, to_its_end=True, within=unit.grace if hurried else _time_left(unit, ROLLBACK_TIMEOUT))


def _time_left(unit: Unit, longest: float) -> float:
    """Seconds to the unit's deadline, and its grace."""
    if unit.deadline is None:
        return longest
    return min(max(unit.deadline - asyncio.get_running_loop().time(), 0) + unit.grace, longest)


async def run_hooks(unit: Unit) -> None:
    """The hooks of the outcome, outside the transaction; none where the outcome is unknown."""
    hooks: Sequence[Hook] = ()
    if unit.outcome is Outcome.COMMITTED:
        hooks = unit.root.after_commit
    elif unit.outcome is Outcome.ROLLED_BACK:
        hooks = unit.root.after_rollback
    if hooks:

        def started(helper: "asyncio.Task[None]") -> None:
            unit.helper = helper  # to the drain, what hooks do is the unit's
            _act_for_owner(helper)

        await shield_in_task(call_hooks(hooks), started)


async def run_rollback_hooks(frame: Frame) -> None:
    """The after-rollback hooks of a savepoint, inside what it was in."""
    if frame.after_rollback:
        await shield_in_task(call_hooks(frame.after_rollback), _act_for_owner)


def _act_for_owner(helper: "asyncio.Task[None]") -> None:
    """Around an independent transaction others of this task may be open: its hooks are this task's too."""
    owner = asyncio.current_task()
    block = ambient.get()
    while block is not None:
        if owner in {block.unit.task, block.unit.helper}:
            block.unit.helper = helper
        block = block.outer


async def call_hooks(hooks: Sequence[Hook]) -> None:
    """Call each in order; one that fails is logged and stops nothing."""
    for hook in hooks:
        try:
            answer = hook()
            if inspect.isawaitable(answer):
                await answer
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            log.exception("a transaction hook failed: %s", getattr(hook, "__qualname__", type(hook).__name__))


async def roll_back_to(savepoint: AsyncSessionTransaction, unit: Unit, frame: Frame) -> None:
    """Undo a savepoint's work."""
    await shield(
        _roll_back_to(savepoint, unit, frame), unit, to_its_end=True, within=_time_left(unit, ROLLBACK_TIMEOUT)
    )


async def _roll_back_to(savepoint: AsyncSessionTransaction, unit: Unit, frame: Frame) -> None:
    try:
        await savepoint.rollback()
    except ResourceClosedError:
        pass  # the block has rolled it back itself
    except Exception as error:  # noqa: BLE001 - whatever it is, the transaction can't go on
        unit.root.doom(error)
    if frame in unit.frames:
        unit.pop_rolled_back(frame.savepoint or "")
    frame.gone = True


async def _commit_directly(session: Session, unit: Unit, connection: Connection, plans: CompiledStatements) -> None:
    """COMMIT by the driver, and the connection back to the pool; by SQLAlchemy what can't be done at once."""
    try:
        await direct_commit.send(connection)
    except GeneratorExit:  # the event loop has ended: there is nothing to wait with
        raise
    except BaseException as error:
        unit.commit_error = error
        await greenlet_spawn(_commit_and_close, session, unit)
        raise  # not reached: `_commit_and_close` has raised
    unit.outcome = Outcome.COMMITTED
    if plans.keeps() and ALTERED not in connection.connection.info:
        _close_committed(session, unit, connection)
    else:
        await greenlet_spawn(_close_committed, session, unit, connection)


def _close_committed(session: Session, unit: Unit, connection: Connection) -> None:
    """There is nothing to send any more."""
    try:
        transaction = connection.get_transaction()
        if transaction is not None:
            transaction.commit()
    finally:
        _give_back(session, unit)


def _commit_and_close(session: Session, unit: Unit) -> None:
    """In one crossing to the driver: COMMIT, and the connection back to the pool. What listeners raise before COMMIT is
    sent rolls back; what they raise after it is raised, too, and undoes nothing.
    """
    try:
        _take_writes_again(session, unit)
        if unit.connected and unit.transactional and unit.commit_error is None:
            _check_alive(unit)
        session.commit()
        if unit.transactional:
            unit.outcome = Outcome.COMMITTED
    except BaseException as error:
        if unit.transactional and unit.commit_answered:
            unit.outcome = Outcome.COMMITTED
        sent = unit.commit_sent or unit.commit_error is not None
        if not unit.transactional or unit.commit_answered or not sent or _answered(error):
            raise
        unit.outcome = Outcome.UNKNOWN
        if isinstance(error, Exception):
            raise CommitOutcomeUnknown from error
        raise
    finally:
        _give_back(session, unit)


def _take_writes_again(session: Session, unit: Unit) -> None:
    """Without a transaction nothing else ends what the connection was asked for."""
    if unit.read_only_engaged and not unit.transactional and not unit.lost:
        read_only.disengage(session, unit)


def _check_alive(unit: Unit) -> None:
    """Raises `ConnectionLost` for a connection that is known to be closed: its COMMIT would never be sent; and
    `CommitOutcomeUnknown` where somebody has ended the transaction by the driver itself.
    """
    connection = unit.connection
    driver = None if connection is None or connection.closed else connection.connection.driver_connection
    if has_ended(driver):
        msg = "the connection was closed before COMMIT was sent"
        raise ConnectionLost(msg, sqlstate=CLOSED)
    if connection is not None and not connection.closed and was_ended(connection.connection):
        unit.outcome = Outcome.UNKNOWN
        raise CommitOutcomeUnknown


def _answered(error: BaseException) -> bool:
    """Whether COMMIT was refused, by the database or by SQLAlchemy; else its answer was lost."""
    if isinstance(error, DriverError):
        return error.sqlstate is not None and not isinstance(error, ConnectionLost)
    return isinstance(error, SQLAlchemyError)


def _give_back(session: Session, unit: Unit) -> None:
    """Roll back what is open and return the connection; what fails here changes no outcome."""
    if unit.outcome is None and unit.transactional:
        unit.outcome = Outcome.ROLLED_BACK
    try:
        _take_writes_again(session, unit)
        if unit.outcome is not Outcome.COMMITTED:
            session.rollback()  # closing alone would trust SQLAlchemy's word that a refused COMMIT has ended it all
        session.close()
    except BaseException as error:  # the outcome stands; the pool replaces a broken connection
        session.invalidate()
        if not isinstance(error, Exception):  # it was broken off
            raise
        log.warning("giving a connection back failed, it is dropped: %s", error)
    finally:
        unit.end()
