"""WriteRecorder: who is told what sessions write, in the transaction that writes it."""

from typing import Any, Protocol

from sqlalchemy.orm import Session


class WriteRecorder(Protocol):
    """The container's; its sessions tell it. What it raises fails the write."""

    def flushed(self, session: Session) -> None:
        """A flush has sent its statements; the models still know what was changed."""


def after_flush(session: Session, _context: Any) -> None:
    """Registered for the class of all provided sessions."""
    recorder: WriteRecorder | None = session.recorder  # type: ignore[attr-defined]  # a GuardedSession
    if recorder is not None:
        recorder.flushed(session)
