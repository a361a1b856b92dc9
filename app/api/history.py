"""Schemas of an account's history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from app.api.identifiers import IdText
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
