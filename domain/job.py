"""Job: work that continues after its request was answered, with its progress."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Enum, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models import Base, ModelMixin, UTCDateTime

ERROR_LENGTH: Final = 300
PART: Final = 60_000
"""Bytes of a part, limited by the smallest binary column of the supported databases."""


class JobStatus(StrEnum):
    RECEIVING = "receiving"
    """The file is still being uploaded."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(ModelMixin, Base):
    """A job. `progress` is shown to clients; `position` is where an interrupted job continues."""

    __tablename__ = "jobs"
    __shown__ = ("id", "kind", "status", "position", "finished_at")

    kind: Mapped[str] = mapped_column(String(50))
    status: Mapped[JobStatus] = mapped_column(
        Enum(
            JobStatus,
            native_enum=False,
            length=16,
            validate_strings=True,
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        default=JobStatus.WAITING,
    )
    options: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    position: Mapped[int] = mapped_column(BigInteger, default=0)
    error: Mapped[str | None] = mapped_column(String(ERROR_LENGTH))
    """Reason of the failure."""
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class JobFilePart(Base):
    """A part of a job's file, stored in the database because the worker may run on another machine."""

    __tablename__ = "job_file_parts"
    __shown__ = ("job_id", "number")

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary(PART))
