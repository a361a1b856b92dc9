"""Schemas of the audit trail and of an account's history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from app.api.identifiers import IdText
from app.api.user_schemas import utc
from unitwork.audit import AuditAction, AuditEntry


class HistoryQuery(BaseModel):
    """The query of `GET /v1/users/{id}/history`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=4096)


class FieldChange(BaseModel):
    """One field. `kept` is false where its values are secret, or were forgotten."""

    field: str
    kept: bool
    before: str | None = None
    after: str | None = None


class HistoryEntry(BaseModel):
    """One change: who made it, when, in which request, and the account's version after it."""

    id: IdText
    action: AuditAction
    created_at: datetime
    created_by: IdText
    request_id: str | None
    version: int | None
    changes: list[FieldChange]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        changes = [
            FieldChange(
                field=field, kept=bool(values), before=_text(values.get("before")), after=_text(values.get("after"))
            )
            for field, values in sorted(entry.changes.items())
        ]
        return cls(
            id=entry.id,
            action=entry.action,
            created_at=entry.created_at,
            created_by=entry.created_by,
            request_id=entry.request_id,
            version=entry.record_version,
            changes=changes,
        )


class AuditQuery(BaseModel):
    """The query of `GET /v1/audit`."""

    model_config = ConfigDict(extra="forbid")

    events: bool = Field(default=False, description="security events alone: logins refused, limits reached, …")
    since: Annotated[AwareDatetime, AfterValidator(utc)] | None = None
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=4096)


class AuditRecord(HistoryEntry):
    """An entry of the trail: of which record it is, or which event. An event's facts are its `changes`: `address`, from
    where it was asked for, `account`, a mark that is the same for the same account, and `by`.
    """

    event: str | None
    record_type: str
    record_id: IdText | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        shown = HistoryEntry.of(entry).model_dump()
        return cls(event=entry.event, record_type=entry.record_type, record_id=entry.record_id, **shown)


class AuditBody(BaseModel):
    """One page of the trail, oldest first."""

    items: list[AuditRecord]
    next_cursor: str | None
    has_more: bool

    @classmethod
    def of(cls, entries: Sequence[AuditEntry], next_cursor: str | None) -> Self:
        items = [AuditRecord.of(entry) for entry in entries]
        return cls(items=items, next_cursor=next_cursor, has_more=next_cursor is not None)


class HistoryBody(BaseModel):
    """One page of a history."""

    items: list[HistoryEntry]
    next_cursor: str | None
    has_more: bool

    @classmethod
    def of(cls, entries: Sequence[AuditEntry], next_cursor: str | None) -> Self:
        items = [HistoryEntry.of(entry) for entry in entries]
        return cls(items=items, next_cursor=next_cursor, has_more=next_cursor is not None)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)
