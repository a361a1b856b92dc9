"""InboxMessage: the record that a message is done. Stored in the transaction of its effects."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models import Base, UTCDateTime, utc_now


class InboxMessage(Base):
    """A message that is done. Its id is the outbox message's, so that there is at most one."""

    __tablename__ = "inbox_messages"
    __shown__ = ("id", "topic", "done_at")
    __table_args__ = (Index("ix_inbox_messages_done_at", "done_at"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    topic: Mapped[str] = mapped_column(String(100))
    done_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
