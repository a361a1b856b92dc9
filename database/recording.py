"""WriteRecorder: who is told what sessions write, in the transaction that writes it."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


class WriteRecorder(Protocol):
    """The container's; its sessions tell it. What it raises fails the write."""

    def flushed(self, session: Session) -> None:
        """A flush has sent its statements; the models still know what was changed."""

    def records(self, model: type[Any]) -> bool:
        """Whether what is written to the model is recorded at all."""

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """So many rows of a model were stored past the ORM: new ones, or (`changed` names the columns) ones that may
        have been there.
        """

    def stored(self, session: Session, row: Any) -> None:
        """A new row was stored past the ORM."""

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


async def recorded_row(session: AsyncSession, row: Any) -> None:
    """Tell the session's recorder, where it has one, of a new row that was stored past the ORM."""
    recorder: WriteRecorder | None = getattr(session.sync_session, "recorder", None)
    if recorder is not None and recorder.records(type(row)):
        await session.run_sync(recorder.stored, row)
