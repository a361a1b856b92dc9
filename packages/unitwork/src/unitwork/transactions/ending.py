"""Ending: COMMIT with a known outcome, or ROLLBACK; then the connection is returned.

Shielded to its end (`unitwork.connections.cancellation`), so that no cancellation interrupts it half-way.
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
from unitwork.connections.guard import was_ended
from unitwork.connections.places import leave_lane
from unitwork.connections.pool import ALTERED, has_ended
from unitwork.deadline import lift_deadline
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
"""Seconds that a COMMIT may take without a shorter limit; then its outcome is unknown."""
ROLLBACK_TIMEOUT: Final = 3.0
"""Seconds that a ROLLBACK may take; then the connection is closed, and the server rolls back by itself."""

log = logging.getLogger("unitwork.database")


async def commit(session: ProvidedSession, unit: Unit, plans: CompiledStatements) -> None:
    """End a unit whose block ended normally; `plans` are its engine's.

    Raises `TransactionRolledBack` for a doomed unit, the database's error when it refuses the COMMIT (rolled back), and
    `CommitOutcomeUnknown` when its answer was lost. If the outcome can be looked up
    (`unitwork.transactions.lost_commit`), it returns, or raises `ConnectionLost`.
    """
    if unit.joined or (len(unit.frames) > 1 and any(frame.of_block for frame in unit.frames)):
        unit.root.doom(BlockNeverLeft())
    try:
        if not session.clean and not (unit.transactional and unit.root.doomed):
            # Flushed separately: a connection lost in a flush leaves no unknown outcome.
            await session.flush()
        if unit.ended_behind:
            raise CommitOutcomeUnknown from unit.root.cause
        if unit.transactional and unit.root.doomed:
            raise TransactionRolledBack from unit.root.cause
    except BaseException as error:
        await roll_back(session, unit, error)
        raise
    unit.ending = True
    if not unit.connected and unit.holders is not None:  # holders is None for a fake session, which ends itself
        unit.outcome = Outcome.COMMITTED if unit.transactional else None
        session.sync_session.close()  # sends nothing
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
    except CommitOutcomeUnknown as lost:  # a cancelled unit doesn't wait for the lookup
        unit.outcome = await lost_commit.outcome(session.bind, unit)
        if unit.outcome is Outcome.UNKNOWN:
            raise
        if unit.outcome is Outcome.ROLLED_BACK:
            raise ConnectionLost(lost_commit.UNDONE, sqlstate=lost_commit.FAILED) from lost.__cause__
    finally:
        decide(inside)


async def roll_back(session: ProvidedSession, unit: Unit, error: BaseException) -> None:
    """End a unit whose block was left by `error`. A cancelled or timed-out unit waits only for its grace for the
    server.
    """
    unit.ending = True
    hurried = isinstance(error, asyncio.CancelledError | TimeoutError | TransactionTimeout)
    work = greenlet_spawn(_give_back, session.sync_session, unit)
    await shield(work, unit, to_its_end=True, within=unit.grace if hurried else _time_left(unit, ROLLBACK_TIMEOUT))


def _time_left(unit: Unit, longest: float) -> float:
    """Return the seconds to the unit's deadline plus its grace, at most `longest`."""
    if unit.deadline is None:
        return longest
    return min(max(unit.deadline - asyncio.get_running_loop().time(), 0) + unit.grace, longest)


async def run_hooks(unit: Unit) -> None:
    """Run the hooks for the unit's outcome, outside the transaction; none if the outcome is unknown."""
    hooks: Sequence[Hook] = ()
    if unit.outcome is Outcome.COMMITTED:
        hooks = unit.root.after_commit
    elif unit.outcome is Outcome.ROLLED_BACK:
        hooks = unit.root.after_rollback
    if hooks:

        def started(helper: "asyncio.Task[None]") -> None:
            unit.helper = helper  # the drain counts the hooks as the unit's work
            _act_for_owner(helper)

        await shield_in_task(call_hooks(hooks), started)


async def run_rollback_hooks(frame: Frame) -> None:
    """Run a savepoint's after-rollback hooks, inside the enclosing transaction."""
    if frame.after_rollback:
        await shield_in_task(call_hooks(frame.after_rollback), _act_for_owner)


def _act_for_owner(helper: "asyncio.Task[None]") -> None:
    """Allow the hooks' task to use the enclosing transactions of the owner's task, which are open if this one is
    independent.
    """
    owner = asyncio.current_task()
    block = ambient.get()
    while block is not None:
        if owner in {block.unit.task, block.unit.helper}:
            block.unit.helper = helper
        block = block.outer


async def call_hooks(hooks: Sequence[Hook]) -> None:
    """Call each hook in order, in a task of their own; a failing one is logged, and the next ones still run.

    Their work belongs to a transaction that has ended, so that neither its deadline nor its lane refuses it.
    """
    lift_deadline()
    leave_lane()
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
    """Roll back to a savepoint."""
    await shield(
        _roll_back_to(savepoint, unit, frame), unit, to_its_end=True, within=_time_left(unit, ROLLBACK_TIMEOUT)
    )


async def _roll_back_to(savepoint: AsyncSessionTransaction, unit: Unit, frame: Frame) -> None:
    try:
        await savepoint.rollback()
    except ResourceClosedError:
        pass  # the block has already rolled it back
    except Exception as error:  # noqa: BLE001 - whatever it is, the transaction can't go on
        unit.root.doom(error)
    if frame in unit.frames:
        unit.pop_rolled_back(frame.savepoint or "")
    frame.gone = True


async def _commit_directly(session: Session, unit: Unit, connection: Connection, plans: CompiledStatements) -> None:
    """Send COMMIT through the driver and return the connection; fall back on SQLAlchemy for an error or a connection
    that can't be returned at once.
    """
    try:
        await direct_commit.send(connection)
    except GeneratorExit:  # the event loop has ended: nothing can be awaited
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
    """Let SQLAlchemy end its transaction after a direct COMMIT; nothing is sent."""
    try:
        transaction = connection.get_transaction()
        if transaction is not None:
            transaction.commit()
    finally:
        _give_back(session, unit)


def _commit_and_close(session: Session, unit: Unit) -> None:
    """Commit and return the connection, in one greenlet switch. An exception of a listener before COMMIT is sent rolls
    back; one after it is raised too, but undoes nothing.
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
        if isinstance(error, Exception) and not isinstance(error, CommitOutcomeUnknown):
            raise CommitOutcomeUnknown from error
        raise
    finally:
        _give_back(session, unit)


def _take_writes_again(session: Session, unit: Unit) -> None:
    """Make the connection writable again; outside a transaction no COMMIT or ROLLBACK does so."""
    if unit.read_only_engaged and not unit.transactional and not unit.lost:
        read_only.disengage(session, unit)


def _check_alive(unit: Unit) -> None:
    """Raise `ConnectionLost` for a connection known to be closed, whose COMMIT would never be sent, and
    `CommitOutcomeUnknown` if the transaction was ended directly through the driver.
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
    """True if COMMIT was refused, by the database or by SQLAlchemy; False if its answer was lost."""
    if isinstance(error, DriverError):
        return error.sqlstate is not None and not isinstance(error, ConnectionLost)
    return isinstance(error, SQLAlchemyError)


def _give_back(session: Session, unit: Unit) -> None:
    """Roll back what is open and return the connection; a failure here doesn't change the outcome."""
    if unit.outcome is None and unit.transactional:
        unit.outcome = Outcome.UNKNOWN if unit.ended_behind else Outcome.ROLLED_BACK
    try:
        _take_writes_again(session, unit)
        if unit.outcome is not Outcome.COMMITTED:
            session.rollback()  # `close` alone would trust SQLAlchemy, which counts a refused COMMIT as ended
        session.close()
    except BaseException as error:  # the outcome stands; the pool replaces a broken connection
        session.invalidate()
        if not isinstance(error, Exception):  # it was interrupted
            raise
        log.warning("giving a connection back failed, it is dropped: %s", error)
    finally:
        unit.end()
