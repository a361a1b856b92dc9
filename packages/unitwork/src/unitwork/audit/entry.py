"""AuditEntry: one change of one record, with its author and its fields before and after.

A model opts in by `Audited`. `unitwork.audit.trail` writes the entries, `AuditDao` reads them.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum as PythonEnum
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import JSON, BigInteger, Enum, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from unitwork.models.acting_user import acting_user_id
from unitwork.models.audited import Audited
from unitwork.models.base import NEEDED, IdMixin, LibraryBase, Metadata, is_needed, mappers_of
from unitwork.models.request_id import current_request_id
from unitwork.models.utc_datetime import UTCDateTime, utc_now

CONFIDENTIAL: Final = "unitwork_confidential"
"""The key in a column's `info` that keeps its values out of the trail: `info={CONFIDENTIAL: True}`."""
DERIVED: Final = "unitwork_derived"
"""The key in a column's `info` that omits the column from the trail because it is derived from another one."""

Changes = Mapping[str, Mapping[str, Any]]
"""Changes by field: `{"before": …, "after": …}`. A value is missing if it isn't kept (a secret, a purged person's
value) or isn't known.
"""


class AuditAction(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    """The record was soft-deleted."""
    RESTORED = "restored"
    PURGED = "purged"
    """The record was deleted for good."""
    EVENT = "event"
    """No row was changed; `event` names the event, `changes` holds its facts, each as `after`."""


class AuditColumns:
    """Columns of an entry, which records one change of one record, or a bulk write of many: then `record_id` is None,
    `row_count` is their number, and no values are kept. Entries are never changed, except to remove a purged person's
    values.

    A host with keys that aren't integers, or with the entries among its own tables, maps a class of its own: these
    columns, a primary key, and a nullable `record_id` of the records' key type, or of text for keys of any type
    (`AuditTrail.record_id`).
    """

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    created_by: Mapped[int] = mapped_column(BigInteger, default=acting_user_id, index=True)
    request_id: Mapped[str | None] = mapped_column(String(128), default=current_request_id)
    action: Mapped[AuditAction] = mapped_column(
        Enum(AuditAction, native_enum=False, length=16, values_callable=lambda actions: [one.value for one in actions])
    )
    record_type: Mapped[str] = mapped_column(String(63))
    """Name of the table, qualified by its schema if it has one; for an inherited model, of the first table."""
    record_version: Mapped[int | None] = mapped_column(Integer)
    """Version of the record after the change."""
    event: Mapped[str | None] = mapped_column(String(63))
    """Name of a security event, alone or beside the entry of the change that it belongs to."""
    row_count: Mapped[int] = mapped_column(Integer, default=1)
    changes: Mapped[Changes] = mapped_column(JSON, default=dict)


class AuditEntry(IdMixin, AuditColumns, LibraryBase):
    """Entry for audited models whose primary key is one integer."""

    __tablename__ = "audit_entries"
    __shown__ = ("id", "action", "record_type", "record_id", "record_version")
    __table_args__ = (
        Index("ix_audit_entries_record_id_id", "record_id", "id"),
        {"info": {NEEDED: lambda metadata: _is_needed(metadata)}},
    )

    record_id: Mapped[int | None] = mapped_column(BigInteger)


def _is_needed(metadata: Metadata) -> bool:
    """True if one of these models is audited and the host has mapped no class of entries of its own."""
    audited = any(is_needed(mapper.local_table, metadata) for mapper in mappers_of(Audited))
    entries = (mapper for mapper in mappers_of(AuditColumns) if mapper.class_ is not AuditEntry)
    return audited and not any(is_needed(mapper.local_table, metadata) for mapper in entries)


def without_values(changes: Changes) -> Changes:
    """Return the changed fields without their values."""
    return {field: {} for field in changes}


def recordable(value: Any) -> Any:
    """Convert the value to JSON types."""
    return value.value if isinstance(value, PythonEnum) else value
