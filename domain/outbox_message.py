"""OutboxMessage: work to be done once after a commit. Stored in the transaction that causes it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from domain.message_payload import TOPIC_LENGTH, check_payload, check_topic
from unitwork.models import Base, ModelMixin, UTCDateTime, utc_now

ERROR_LENGTH: Final = 300
DOUBLINGS: Final = 6
"""Maximum number of times that a pause is doubled: it grows up to 64 times the first one."""


class OutboxMessage(ModelMixin, Base):
    """A message that isn't done: the row is deleted when its inbox row is stored. `created_by` is the acting user."""

    __tablename__ = "outbox_messages"
    __shown__ = ("id", "topic", "publications", "attempts", "failed_at", "parked_at")
    __table_args__ = (Index("ix_outbox_messages_parked_at_due_at", "parked_at", "due_at"),)

    topic: Mapped[str] = mapped_column(String(TOPIC_LENGTH))
    """Selects the handler."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Ids, and nothing secret."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    trace_parent: Mapped[str | None] = mapped_column(String(55))
    due_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    """Moment of the next publication by a relay; of one that a worker has, the end of its lease."""
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment before which no worker begins it: the end of its delay, or of the pause after a failure."""
    publications: Mapped[int] = mapped_column(Integer, default=0)
    """Number of publications since a worker last began it."""
    published_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment of the last publication that the broker accepted."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """Number of times a worker has started it since it last made progress."""
    attempted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment until which a worker has it for itself; None when none does."""
    leased_by: Mapped[int | None] = mapped_column(BigInteger)
    """Number of the delivery that has it."""
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    """Error of the last attempt or publication."""
    failed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    parked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Moment when it was parked: it isn't retried until an operator requests it."""

    @classmethod
    def create(
        cls,
        topic: str,
        payload: Mapping[str, Any],
        *,
        request_id: str | None = None,
        trace_parent: str | None = None,
        after: timedelta | None = None,
    ) -> "OutboxMessage":
        """Return a message that isn't stored yet, to be delivered after that time. Raises `UnusableTopic`,
        `UnusablePayload`.
        """
        check_topic(topic)
        check_payload(topic, payload)
        message = cls(topic=topic, payload=dict(payload), request_id=request_id, trace_parent=trace_parent)
        if after is not None:
            message.due_at = message.not_before = utc_now() + after
        return message

    @property
    def job_id(self) -> int | None:
        """Id of the job that this message runs; None if it runs none."""
        job_id = self.payload.get("job_id")
        return int(job_id) if isinstance(job_id, str) and job_id.isascii() and job_id.isdecimal() else None

    def why_not_done(self) -> str:
        """Return the reason, as text for people."""
        if self.parked_at is not None:
            return f"parked after {_times(self.attempts)} begun: {self.error or 'no worker came to its end'}"
        if self.leased_until is not None and self.leased_until > utc_now():
            return (
                f"begun by a worker at {_clock(self.attempted_at or self.created_at)} ({_times(self.attempts)}), which "
                f"has it until {_clock(self.leased_until)} and renews that while it works"
            )
        if self.failed_at is not None and self.attempted_at is not None and self.attempted_at <= self.failed_at:
            begun = f"{_times(self.attempts)} begun" if self.attempts else "it came further before"
            return f"failed ({begun}): {self.error}; tried again from {_clock(self.due_at)}"
        if self.attempted_at is not None and self.attempts:
            return (
                f"begun by a worker at {_clock(self.attempted_at)} ({_times(self.attempts)}), which was killed or "
                f"ended itself; published again from {_clock(self.due_at)}"
            )
        if self.attempted_at is not None:
            return f"came further since {_clock(self.attempted_at)}, and goes on; published from {_clock(self.due_at)}"
        if self.published_at is not None:
            return (
                f"published at {_clock(self.published_at)} ({_times(self.publications)}) and taken by no worker; "
                f"published again from {_clock(self.due_at)}"
            )
        if self.failed_at is not None:
            return f"the broker didn't take it: {self.error}; tried again from {_clock(self.due_at)}"
        if self.not_before is not None and self.not_before > utc_now():
            return f"delayed until {_clock(self.not_before)}"
        return "published by no relay yet"


def pause(first: timedelta, times: int, *, longest: timedelta | None = None) -> timedelta:
    """Return the pause after this many tries: doubled each time, up to `longest`, or else to 64 times the first one."""
    doubled = first * 2 ** min(times, DOUBLINGS if longest is None else 30)
    return doubled if longest is None else min(doubled, longest)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
