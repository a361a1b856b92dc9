"""WriteRecorder: who is told what sessions write, in the transaction that writes it."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import FromStatement, Session


class WriteRecorder(Protocol):
    """The container's; its sessions tell it. What it raises fails the write."""

    def flushed(self, session: Session) -> None:
        """A flush has sent its statements; the models still know what was changed."""

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """So many rows of a model were stored past the ORM: new ones, or (`changed` names the columns) ones that may
        have been there.
        """

    def entry(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """What is to be stored, a model and its values, after a new row was stored past the ORM."""

    def concerns(self, table: Any) -> bool:
        """Whether it wants to be told what is written to the table."""

    def executed(self, session: Session, statement: Any, parameters: Any, send: Callable[[Any], Any]) -> Any:
        """An INSERT, UPDATE or DELETE construct is to be executed, by `send`, whose result is returned."""


def after_flush(session: Session, _context: Any) -> None:
    """Registered for the class of all provided sessions."""
    recorder: WriteRecorder | None = session.recorder  # type: ignore[attr-defined]  # a GuardedSession
    if recorder is not None:
        recorder.flushed(session)


async def recorded(session: AsyncSession, model: type[Any], rows: int, *, changed: Iterable[str] | None = None) -> None:
    """Tell the session's recorder, where it has one, of rows that were stored past the ORM."""
    recorder: WriteRecorder | None = getattr(session.sync_session, "recorder", None)
    if recorder is not None:
        await session.run_sync(recorder.stored_in_bulk, model, rows, changed=changed)


def entry_of(session: AsyncSession, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
    """What the session's recorder, where it has one, wants stored after a new row that was stored past the ORM."""
    recorder: WriteRecorder | None = getattr(session.sync_session, "recorder", None)
    return None if recorder is None else recorder.entry(row)


def dml_in(statement: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The INSERT, UPDATE or DELETE that a recorder is told of, and what makes the statement of one to be sent: in
    `select(User).from_statement(update(User)…)` it is wrapped.
    """
    if not isinstance(statement, FromStatement):
        return statement, lambda dml: dml

    def wrapped(dml: Any) -> Any:
        whole = copy(statement)
        whole.element = dml
        return whole

    return statement.element, wrapped
