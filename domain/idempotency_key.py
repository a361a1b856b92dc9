"""IdempotencyKey: the stored answer of a request with the header `Idempotency-Key`, repeated when the request is."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.audit import CONFIDENTIAL
from unitwork.models import Base, IdMixin, UTCDateTime, utc_now


class IdempotencyKey(IdMixin, Base):
    """Stored in the transaction of the answered work, so that a failed request has none."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("scope"),)

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, index=True)
    scope: Mapped[str] = mapped_column(String(64))
    """A digest of the acting user (of nobody: the client's address), the method, the path and the key."""
    request_digest: Mapped[str] = mapped_column(String(64), info={CONFIDENTIAL: True})
    """A keyed digest of the body, which may hold a password."""
    record_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    """Id of the record that the answer describes: purging the record deletes the answer."""
    answer: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
