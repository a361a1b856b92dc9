"""How a unit ends: COMMIT with a known outcome, or ROLLBACK; then the connection is given back.

Runs in a task of its own (see `carry`), so that no cancellation leaves it half done.
"""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import ResourceClosedError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlalchemy.orm import Session

from database import read_only
from database.carry import carry
from database.errors import CommitOutcomeUnknown, ConnectionLost, DriverError, TransactionRolledBack
from database.outcome import Outcome
from database.session import ProvidedSession
from database.transaction import ambient
from database.unit import Frame, Hook, Unit

CLOSED: Final = "08003"
"""SQLSTATE connection_does_not_exist."""

log = logging.getLogger("gatehouse.database")


async def commit(session: ProvidedSession, unit: Unit) -> None:
    """End a unit whose block ended normally.

    Raises `TransactionRolledBack` for a doomed one, the database's error when it refuses the COMMIT (rolled back),
    `CommitOutcomeUnknown` when its answer was lost.
    """
    await carry(_commit(session, unit), lambda task: _help(unit, task))


async def roll_back(session: ProvidedSession, unit: Unit) -> None:
    """End a unit whose block was left by an exception."""
    await carry(_roll_back(session, unit), lambda task: _help(unit, task))


async def run_hooks(unit: Unit) -> None:
    """The hooks of the outcome, outside the transaction; none where the outcome is unknown."""
    hooks: Sequence[Hook] = ()
    if unit.outcome is Outcome.COMMITTED:
        hooks = unit.root.after_commit
    elif unit.outcome is Outcome.ROLLED_BACK:
        hooks = unit.root.after_rollback
    if hooks:
        await carry(call_hooks(hooks), _act_for_owner)


async def run_rollback_hooks(frame: Frame) -> None:
    """The after-rollback hooks of a savepoint, inside what it was in."""
    if frame.after_rollback:
        await carry(call_hooks(frame.after_rollback), _act_for_owner)


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
    await carry(_roll_back_to(savepoint, unit, frame), lambda task: _help(unit, task))
    unit.helper = None


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


def _help(unit: Unit, task: "asyncio.Task[None]") -> None:
    unit.helper = task


async def _commit(session: ProvidedSession, unit: Unit) -> None:
    try:
        if not (unit.transactional and unit.root.doomed) and (session.new or session.dirty or session.deleted):
            # A step of its own: a connection lost in here is no unknown outcome.
            await session.flush()
        if unit.transactional and unit.root.doomed:
            raise TransactionRolledBack from unit.root.cause
    except BaseException:
        await _roll_back(session, unit)
        raise
    unit.ending = True
    await session.run_sync(_commit_and_close, unit)


async def _roll_back(session: ProvidedSession, unit: Unit) -> None:
    unit.ending = True
    await session.run_sync(_give_back, unit)


def _commit_and_close(session: Session, unit: Unit) -> None:
    """In one crossing to the driver: COMMIT, and the connection back to the pool."""
    try:
        _take_writes_again(session, unit)
        if unit.connected and unit.transactional:
            _check_alive(session)
        session.commit()
        if unit.transactional:
            unit.outcome = Outcome.COMMITTED
    except BaseException as error:
        if not unit.transactional or _answered(error):
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


def _check_alive(session: Session) -> None:
    """Raises `ConnectionLost` for a connection that is known to be closed: its COMMIT would never be sent."""
    driver = session.connection().connection.driver_connection
    if getattr(driver, "is_closed", bool)():
        msg = "the connection was closed before COMMIT was sent"
        raise ConnectionLost(msg, sqlstate=CLOSED)


def _answered(error: BaseException) -> bool:
    """Whether COMMIT was refused, by the database or before it was sent; else its answer was lost."""
    if isinstance(error, DriverError):
        return error.sqlstate == CLOSED or (error.sqlstate is not None and not isinstance(error, ConnectionLost))
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
    except Exception as error:  # noqa: BLE001 - the outcome stands; the pool replaces a broken connection
        log.warning("giving a connection back failed, it is dropped: %s", error)
        session.invalidate()
    finally:
        unit.end()
