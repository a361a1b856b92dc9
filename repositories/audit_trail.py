"""AuditTrail: records what sessions write to audited models, in the transaction that writes it."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Table, insert, inspect
from sqlalchemy.orm import Mapper, Session

from domain.audit_entry import CONFIDENTIAL, AuditAction, Audited, AuditEntry, Changes, recordable

STAMPS: Final = frozenset({"id", "version", "created_at", "created_by", "updated_at", "updated_by"})
"""What an entry tells in columns of its own."""
_ENTRIES: Final = cast("Table", AuditEntry.__table__)


class AuditTrail:
    """Told by each session of a container what it has written. One INSERT for all that a flush has to tell."""

    def flushed(self, session: Session) -> None:
        """A flush has sent its statements; the models still know what was changed. Raises what the INSERT raises."""
        entries = list(_entries(session))
        if entries:
            session.connection().execute(insert(_ENTRIES), entries)

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """One entry for all of them: how many there were and which fields were set, and none of their values."""
        if not issubclass(model, Audited):
            return
        entry = {
            "action": AuditAction.CREATED if changed is None else AuditAction.CHANGED,
            "record_type": inspect(model).local_table.name,
            "record_id": None,
            "row_count": rows,
            "changes": {field: {} for field in changed or () if field not in STAMPS},
        }
        session.connection().execute(insert(_ENTRIES), [entry])


def _entries(session: Session) -> Iterator[dict[str, Any]]:
    for row in session.new:
        if isinstance(row, Audited):
            yield _entry(row, AuditAction.CREATED, _all_fields(row, "after"))
    deleted = session.deleted
    for row in session.dirty:
        if isinstance(row, Audited) and row not in deleted and (changes := _changed_fields(row)):
            yield _entry(row, _action(changes), changes)
    for row in deleted:
        if isinstance(row, Audited):
            yield _entry(row, AuditAction.PURGED, _all_fields(row, "before"))


def _entry(row: Any, action: AuditAction, changes: Changes) -> dict[str, Any]:
    return {
        "action": action,
        "record_type": row.__table__.name,
        "record_id": row.id,
        "record_version": getattr(row, "version", None),
        "changes": changes,
    }


def _action(changes: Changes) -> AuditAction:
    """What a change of a row means: `deleted_at` tells a soft delete and its undoing."""
    marked = changes.get("deleted_at")
    if marked is None:
        return AuditAction.CHANGED
    return AuditAction.RESTORED if marked.get("after") is None else AuditAction.DELETED


def _all_fields(row: Any, side: str) -> Changes:
    values = inspect(row).dict
    return {
        field: {} if secret else {side: recordable(values[field])}
        for field, secret in _fields(inspect(row).mapper)
        if values.get(field) is not None and not isinstance(values[field], ClauseElement)
    }


def _changed_fields(row: Any) -> Changes:
    attributes = inspect(row).attrs
    changes: dict[str, dict[str, Any]] = {}
    for field, secret in _fields(inspect(row).mapper):
        history = attributes[field].history
        if not history.has_changes():
            continue
        change = changes[field] = {}
        if secret:
            continue
        if history.deleted:
            change["before"] = recordable(history.deleted[0])
        # An expression's value is the database's; the model reads it when it is asked for next.
        if history.added and not isinstance(history.added[0], ClauseElement):
            change["after"] = recordable(history.added[0])
    return changes


@cache
def _fields(mapper: Mapper[Any]) -> tuple[tuple[str, bool], ...]:
    """The model's columns that an entry tells of, and whether their values are secret."""
    return tuple(
        (attribute.key, bool(attribute.columns[0].info.get(CONFIDENTIAL)))
        for attribute in mapper.column_attrs
        if attribute.key not in STAMPS and attribute.columns[0].table is not None
    )
