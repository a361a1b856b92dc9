"""WriteRecorder: the interface that receives what sessions write, within the writing transaction."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cache
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import FromStatement, Session


class WriteRecorder(Protocol):
    """Receiver of every write of a container's sessions. An exception it raises fails the write: once rows were sent,
    their transaction can't be committed, even if the exception is caught.
    """

    def flushed(self, session: Session) -> None:
        """Called after a flush has sent its statements, while the models still hold their change history."""

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """Called after `rows` rows of a model were stored without the ORM: new rows, or an upsert of the columns
        `changed`.
        """

    def entry(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return what to store, a model and its values, after a new row was stored without the ORM; None for
        nothing.
        """

    def change(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return what to store, as `entry` does, after the changes of a row that its history still holds were stored
        without the ORM.
        """

    def concerns(self, table: Any) -> bool:
        """True if it records writes to the table."""

    def executed(self, session: Session, statement: Any, parameters: Any, send: Callable[[Any], Any]) -> Any:
        """Called for an INSERT, UPDATE or DELETE construct; executes it by `send` and returns its result."""


def after_flush(session: Session, _context: Any) -> None:
    """Pass a flush to the session's recorder; listener of all guarded sessions."""
    recorder: WriteRecorder | None = session.recorder  # type: ignore[attr-defined]  # a GuardedSession
    if recorder is not None:
        recorder.flushed(session)


async def recorded(session: AsyncSession, model: type[Any], rows: int, *, changed: Iterable[str] | None = None) -> None:
    """Report rows that were stored without the ORM to the session's recorder, if it has one."""
    recorder: WriteRecorder | None = getattr(session.sync_session, "recorder", None)
    if recorder is None:
        return
    try:
        await session.run_sync(recorder.stored_in_bulk, model, rows, changed=changed)
    except Exception as error:
        session.sync_session.unit.unrecorded(error)  # type: ignore[attr-defined]  # a GuardedSession
        raise


def entry_of(session: Session, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
    """Return what the session's recorder wants stored after a new row that was stored without the ORM; None for
    nothing.
    """
    recorder: WriteRecorder | None = getattr(session, "recorder", None)
    return None if recorder is None else recorder.entry(row)


def tells_changes(recorder: WriteRecorder) -> bool:
    """True if `change` tells what `flushed` would record: a class that overrides `flushed` alone records by flushes."""
    return _tells_changes(type(recorder))


@cache
def _tells_changes(kind: type[Any]) -> bool:
    defined = [next((base for base in kind.__mro__ if name in vars(base)), None) for name in ("change", "flushed")]
    return None not in defined and kind.__mro__.index(defined[0]) <= kind.__mro__.index(defined[1])


def dml_in(statement: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the INSERT, UPDATE or DELETE of a statement, and a function that puts such a construct back into it: in
    `select(User).from_statement(update(User)…)` it is wrapped.
    """
    if not isinstance(statement, FromStatement):
        return statement, lambda dml: dml

    def wrapped(dml: Any) -> Any:
        whole = copy(statement)
        whole.element = dml
        return whole

    return statement.element, wrapped
