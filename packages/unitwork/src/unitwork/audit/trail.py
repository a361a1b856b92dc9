"""AuditTrail: record what sessions write to audited models, in the transaction that writes it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ClauseElement, Table, insert, inspect, select
from sqlalchemy.orm import Mapper, Session

from unitwork.audit.entry import CONFIDENTIAL, DERIVED, AuditAction, AuditEntry, Changes, recordable
from unitwork.dao.statements.keyed import keyed
from unitwork.models.audited import Audited
from unitwork.models.base import Base
from unitwork.models.soft_delete import INCLUDE_DELETED

STAMPS: Final = frozenset({"id", "version", "created_at", "created_by", "updated_at", "updated_by"})
"""Columns omitted from an entry's changes: the entry has columns of its own for them."""
ROWS: Final = 1000
"""Maximum number of rows of one UPDATE or DELETE that get an entry each."""
_ENTRIES: Final = cast("Table", AuditEntry.__table__)


class AuditTrail:
    """Records writes. Sessions call it after each write; the entries of a flush are stored by one INSERT."""

    def flushed(self, session: Session) -> None:
        """Record a flush whose statements were sent, while models still have their change history. Raises what the
        INSERT raises.
        """
        entries = list(_entries(session))
        if entries:
            session.connection().execute(insert(_ENTRIES), entries)

    def entry(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return the entry, as model and values, that a flush would store for a new row; None for a model without
        audit.
        """
        if not isinstance(row, Audited):
            return None
        return AuditEntry, _entry(row, AuditAction.CREATED, _all_fields(row, "after"))

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """Store one entry for all rows of a bulk write: their number and the fields set, without values."""
        if not issubclass(model, Audited):
            return
        named = set(changed or ())
        entry = {
            "action": AuditAction.CREATED if changed is None else AuditAction.CHANGED,
            "record_type": inspect(model).local_table.name,
            "record_id": None,
            "row_count": rows,
            "changes": {field: {} for field, _ in _fields(inspect(model)) if field in named},
        }
        session.connection().execute(insert(_ENTRIES), [entry])

    def concerns(self, table: Any) -> bool:
        """True if the table is an audited model's."""
        return _audited(table) is not None

    def executed(self, session: Session, statement: Any, parameters: Any, send: Callable[[Any], Any]) -> Any:
        """Send an INSERT, UPDATE or DELETE construct and record it.

        An INSERT of a model is recorded by one entry for all its rows, without values; inserts into its table, as bulk
        writes send them, call `stored_in_bulk` instead. An UPDATE or DELETE of at most `ROWS` rows locks them and is
        recorded by an entry for each; one of more rows, or of rows identified by its parameters, by one entry without
        values.
        """
        mapper = _audited(statement.table)
        if mapper is None:
            return send(statement)
        if not statement.is_delete:
            statement = keyed(mapper.class_, statement, parameters)
        if statement.is_insert and statement.table is mapper.local_table:
            return send(statement)
        if statement.is_insert:
            return self._counted(session, mapper, AuditAction.CREATED, parameters, send(statement))
        action = AuditAction.PURGED if statement.is_delete else AuditAction.CHANGED
        before = {} if isinstance(parameters, list) else _rows(session, mapper, statement.whereclause)
        if isinstance(parameters, list) or len(before) > ROWS:
            return self._counted(session, mapper, action, parameters, send(statement))
        key = mapper.class_.id
        result = send(statement.where(key.in_(before)))
        if before:
            after = _rows(session, mapper, key.in_(before))
            entries = list(_differences(mapper, before, after))
            if entries:
                session.connection().execute(insert(_ENTRIES), entries)
        return result

    def _counted(self, session: Session, mapper: Mapper[Any], action: AuditAction, parameters: Any, result: Any) -> Any:
        # If the statement returns models, the driver's result is wrapped by SQLAlchemy's.
        rows = len(parameters) if isinstance(parameters, list) else getattr(result, "raw", result).rowcount
        if rows > 0 or not isinstance(parameters, list):
            entry = {
                "action": action,
                "record_type": mapper.class_.__tablename__,
                "row_count": max(rows, 1),
                "changes": {},
            }
            session.connection().execute(insert(_ENTRIES), [entry])
        return result


def _rows(session: Session, mapper: Mapper[Any], criterion: Any) -> dict[int, Any]:
    """Lock and return the rows that meet the criterion, as mappings by id; at most `ROWS` + 1."""
    columns = [mapper.attrs[field].class_attribute for field, _ in _fields(mapper)]
    statement = select(mapper.class_.id, *_version(mapper), *columns).limit(ROWS + 1)
    if criterion is not None:
        statement = statement.where(criterion)
    statement = statement.with_for_update(of=mapper.class_)
    found = session.execute(statement, execution_options={INCLUDE_DELETED: True}).mappings()
    return {row["id"]: row for row in found}


def _differences(mapper: Mapper[Any], before: Mapping[int, Any], after: Mapping[int, Any]) -> Iterator[dict[str, Any]]:
    for id_, old in before.items():
        new = after.get(id_)
        changes: dict[str, dict[str, Any]] = {}
        for field, secret in _fields(mapper):
            if new is None and old[field] is not None:
                changes[field] = {} if secret else {"before": recordable(old[field])}
            elif new is not None and old[field] != new[field]:
                values = {"before": recordable(old[field]), "after": recordable(new[field])}
                changes[field] = {} if secret else values
        if new is None or changes:
            yield {
                "action": AuditAction.PURGED if new is None else _action(changes),
                "record_type": mapper.class_.__tablename__,
                "record_id": id_,
                "record_version": (new or old).get("version"),
                "changes": changes,
            }


def _version(mapper: Mapper[Any]) -> list[Any]:
    return [mapper.class_.version] if "version" in mapper.column_attrs else []


@cache
def _audited(table: Any) -> Mapper[Any] | None:
    """Return the audited model of a table; None without one. ORM constructs contain an annotated copy of the table,
    which is equal but not identical.
    """
    for mapper in Base.registry.mappers:
        if table == mapper.local_table and issubclass(mapper.class_, Audited):
            return mapper
    return None


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
    """Return the action that a row's changes amount to: a change of `deleted_at` is a soft delete or a restore."""
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
        # The database computes an expression's value; the model loads it on the next access.
        if history.added and not isinstance(history.added[0], ClauseElement):
            change["after"] = recordable(history.added[0])
    return changes


@cache
def _fields(mapper: Mapper[Any]) -> tuple[tuple[str, bool], ...]:
    """Return the audited columns of the model as pairs: name, and True if its values are confidential."""
    return tuple(
        (attribute.key, bool(attribute.columns[0].info.get(CONFIDENTIAL)))
        for attribute in mapper.column_attrs
        if attribute.key not in STAMPS
        and attribute.columns[0].table is not None
        and not attribute.columns[0].info.get(DERIVED)
    )
