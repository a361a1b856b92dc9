"""AuditTrail: record what sessions write to audited models, in the transaction that writes it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import ClauseElement, insert, inspect, select, tuple_
from sqlalchemy.orm import Mapper, Session

from unitwork.audit.entry import CONFIDENTIAL, DERIVED, AuditAction, AuditColumns, AuditEntry, Changes, recordable
from unitwork.dao.statements.keyed import keyed
from unitwork.dao.statements.selection import primary_key
from unitwork.errors.model import UnrecordableKey
from unitwork.models.audited import Audited, audited_mapper
from unitwork.models.soft_delete import INCLUDE_DELETED
from unitwork.rows.columns import soft_deletable, version_key

STAMPS: Final = frozenset({"created_at", "created_by", "updated_at", "updated_by"})
"""Stamp columns, which `changes` omits: an entry has columns of its own for author and moment."""
MAX_ROWS: Final = 1000
"""Maximum number of rows of one UPDATE or DELETE that get an entry each."""
CLASS_LABEL: Final = "unitwork_class"
"""Label of a row's discriminator, the value that identifies its class in a hierarchy."""

Key = tuple[Any, ...]


class AuditTrail:
    """Write recorder of a container's sessions: stores an entry for each write to an audited model. All entries of one
    flush are stored by one INSERT.

    `entries` is the mapped class of the entries: `AuditEntry`, or the host's own (`AuditColumns`). That class and the
    audited models may be on any declarative base.
    """

    def __init__(self, entries: type[AuditColumns] = AuditEntry) -> None:
        self._entries = entries
        self._insert = insert(inspect(entries).local_table)
        self._key_type = _python_type(entries)

    def record_type(self, model: type[Any]) -> str:
        """Return the `record_type` of the model's entries."""
        return _record_type(inspect(model))

    def record_id(self, model: type[Any], key: Any) -> Any:
        """Return the `record_id` of the row with this primary key, which is a tuple if it has several columns.

        A `record_id` of text holds a composite key as a JSON list of texts. Raises `UnrecordableKey` for a key that
        doesn't fit.
        """
        values = key if isinstance(key, tuple) else (key,)
        if len(values) == 1 and (self._key_type is None or isinstance(values[0], self._key_type)):
            return values[0]
        if self._key_type is not str:
            raise UnrecordableKey(model.__name__, self._entries.__name__)
        texts = [str(recordable(value)) for value in values]
        return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)

    def flushed(self, session: Session) -> None:
        """Store the entries of a flush that has sent its statements, while the models still hold their change history.
        Raises the error of the INSERT.
        """
        self._store(session, list(self._of_flush(session)))

    def entry(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return the entry, as model and values, that a flush would store for a new row; None for a model without
        audit.
        """
        if not isinstance(row, Audited):
            return None
        return self._entries, self._entry(row, AuditAction.CREATED, _all_fields(row, "after"))

    def change(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return the entry, as model and values, that a flush would store for a changed row; None for a model without
        audit, and if no recorded field has changed.
        """
        changes = _changed_fields(row) if isinstance(row, Audited) else None
        return (self._entries, self._entry(row, _action(type(row), changes), changes)) if changes else None

    def stored_in_bulk(self, session: Session, model: type[Any], rows: int, *, changed: Iterable[str] | None) -> None:
        """Store one entry for all rows of a bulk write: their number and the fields set, without values."""
        if not issubclass(model, Audited):
            return
        named, mapper = set(changed or ()), inspect(model)
        action = AuditAction.CREATED if changed is None else AuditAction.CHANGED
        changes: Changes = {field: {} for field, _ in _fields(mapper) if field in named}
        self._store(session, [_of_many(mapper, action, rows, changes)])

    def concerns(self, table: Any) -> bool:
        """True if the table is an audited model's."""
        return audited_mapper(table) is not None

    def executed(self, session: Session, statement: Any, parameters: Any, send: Callable[[Any], Any]) -> Any:
        """Send an INSERT, UPDATE or DELETE construct and record it.

        An INSERT of a model is recorded by one entry for all its rows, without values; inserts into its table, as bulk
        writes send them, call `stored_in_bulk` instead. An UPDATE or DELETE of at most `MAX_ROWS` rows locks them and
        is recorded by an entry for each; one of more rows, or of rows identified by its parameters, by one entry
        without values.
        """
        mapper = audited_mapper(statement.table)
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
        if isinstance(parameters, list) or len(before) > MAX_ROWS:
            return self._counted(session, mapper, action, parameters, send(statement))
        # Before the write: a key that doesn't fit must fail it, and not leave it sent but unrecorded.
        ids = {key: self.record_id(mapper.class_, key) for key in before}
        result = send(statement.where(_one_of(mapper, before)))
        if before:
            after = _rows(session, mapper, _one_of(mapper, before))
            self._store(session, list(_differences(mapper, before, after, ids)))
        return result

    def _counted(self, session: Session, mapper: Mapper[Any], action: AuditAction, parameters: Any, result: Any) -> Any:
        # If the statement returns models, the driver's result is wrapped by SQLAlchemy's.
        rows = len(parameters) if isinstance(parameters, list) else getattr(result, "raw", result).rowcount
        if rows > 0 or not isinstance(parameters, list):
            self._store(session, [_of_many(mapper, action, max(rows, 1), {})])
        return result

    def _store(self, session: Session, entries: list[dict[str, Any]]) -> None:
        if entries:
            session.connection().execute(self._insert, entries)

    def _of_flush(self, session: Session) -> Iterator[dict[str, Any]]:
        for row in session.new:
            if isinstance(row, Audited):
                yield self._entry(row, AuditAction.CREATED, _all_fields(row, "after"))
        deleted = session.deleted
        for row in session.dirty:
            if isinstance(row, Audited) and row not in deleted and (changes := _changed_fields(row)):
                yield self._entry(row, _action(type(row), changes), changes)
        for row in deleted:
            if isinstance(row, Audited):
                yield self._entry(row, AuditAction.PURGED, _all_fields(row, "before"))

    def _entry(self, row: Any, action: AuditAction, changes: Changes) -> dict[str, Any]:
        mapper: Mapper[Any] = inspect(type(row))
        version = version_key(mapper.class_)
        return {
            "action": action,
            "record_type": _record_type(mapper),
            "record_id": self.record_id(mapper.class_, tuple(mapper.primary_key_from_instance(row))),
            "record_version": None if version is None else _number(getattr(row, version)),
            "changes": changes,
        }


def _differences(
    mapper: Mapper[Any], before: Mapping[Key, Any], after: Mapping[Key, Any], ids: Mapping[Key, Any]
) -> Iterator[dict[str, Any]]:
    """Yield an entry for each audited row that was changed or deleted between `before` and `after`."""
    version = version_key(mapper.class_)
    for key, old in before.items():
        new, kind = after.get(key), mapper
        if CLASS_LABEL in old:
            kind = mapper.polymorphic_map.get(old[CLASS_LABEL], mapper)
        if not issubclass(kind.class_, Audited):
            continue
        changes: dict[str, dict[str, Any]] = {}
        for field, secret in _fields(mapper):
            if new is None and old[field] is not None:
                changes[field] = {} if secret else {"before": recordable(old[field])}
            elif new is not None and old[field] != new[field]:
                values = {"before": recordable(old[field]), "after": recordable(new[field])}
                changes[field] = {} if secret else values
        if new is None or changes:
            yield {
                "action": AuditAction.PURGED if new is None else _action(mapper.class_, changes),
                "record_type": _record_type(mapper),
                "record_id": ids[key],
                "record_version": None if version is None else _number((new or old)[version]),
                "changes": changes,
            }


def _of_many(mapper: Mapper[Any], action: AuditAction, rows: int, changes: Changes) -> dict[str, Any]:
    return {
        "action": action,
        "record_type": _record_type(mapper),
        "record_id": None,
        "row_count": rows,
        "changes": changes,
    }


def _python_type(entries: type[AuditColumns]) -> type[Any] | None:
    """Return the Python type of `record_id`; None if its column type has none, so that any key is accepted."""
    try:
        kind: type[Any] = inspect(entries).columns["record_id"].type.python_type
    except (
        NotImplementedError
    ):  # raised by SQLAlchemy for column types without a Python type, such as PostgreSQL's INET
        return None
    return kind


def _record_type(mapper: Mapper[Any]) -> str:
    """Return the table's name, with its schema; for a hierarchy, of its first table, whose key identifies every row."""
    table: Any = mapper.base_mapper.local_table
    return str(getattr(table, "fullname", table))


def _number(version: Any) -> int | None:
    """Return an integer version; None for one of another type (a text, a SQL expression), which an entry can't hold."""
    return version if isinstance(version, int) else None


def _rows(session: Session, mapper: Mapper[Any], criterion: Any) -> dict[Key, Any]:
    """Lock the rows that meet the criterion, at most `MAX_ROWS` + 1; return each by its key, as a mapping by attribute.

    Selected from the table, not the model: a table that models share has rows of other models too.
    """
    names, version = primary_key(mapper.class_), version_key(mapper.class_)
    found_by = {name: mapper.attrs[name].columns[0] for name in names}
    if version is not None:
        found_by[version] = mapper.attrs[version].columns[0]
    found_by |= {field: attribute.columns[0] for field, attribute in _attributes(mapper).items()}
    columns = [column.label(name) for name, column in found_by.items()]
    if mapper.polymorphic_on is not None:
        columns.append(mapper.polymorphic_on.label(CLASS_LABEL))
    statement = select(*columns).select_from(mapper.persist_selectable).limit(MAX_ROWS + 1)
    if criterion is not None:
        statement = statement.where(criterion)
    statement = statement.with_for_update(of=mapper.local_table)
    found = session.execute(statement, execution_options={INCLUDE_DELETED: True}).mappings()
    return {tuple(row[name] for name in names): row for row in found}


def _one_of(mapper: Mapper[Any], keys: Iterable[Key]) -> Any:
    columns = [_own(mapper, mapper.attrs[name]) for name in primary_key(mapper.class_)]
    if len(columns) == 1:
        return columns[0].in_([value for (value,) in keys])
    return tuple_(*columns).in_(list(keys))


def _own(mapper: Mapper[Any], attribute: Any) -> Any:
    """Return the key's column in the written table itself: with an inherited column an UPDATE would join its table."""
    if attribute.columns[0].table is mapper.local_table:
        return attribute.class_attribute
    return next((one for one in attribute.columns if one.table is mapper.local_table), attribute.class_attribute)


def _action(model: type[Any], changes: Changes) -> AuditAction:
    """Return the action of a changed row: DELETED or RESTORED if `deleted_at` of a `SoftDelete` model changed."""
    marked = changes.get("deleted_at")
    if marked is None or not soft_deletable(model):
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
        if field not in attributes:
            continue  # another model's, in the same table
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
    """Return the recorded fields, each with True if its values are secret."""
    return tuple(
        (field, bool(attribute.columns[0].info.get(CONFIDENTIAL))) for field, attribute in _attributes(mapper).items()
    )


def _attributes(mapper: Mapper[Any]) -> dict[str, Any]:
    """Return the recorded columns by field: the model's, and those of models that share its table."""
    omitted = {*STAMPS, *primary_key(mapper.class_), version_key(mapper.class_)}
    return {
        attribute.key: attribute
        for one in mapper.self_and_descendants
        if one.local_table is mapper.local_table
        for attribute in one.column_attrs
        if attribute.key not in omitted
        and attribute.columns[0].table is not None
        and not attribute.columns[0].info.get(DERIVED)
    }
