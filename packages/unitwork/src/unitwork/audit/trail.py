"""AuditTrail: record what sessions write to audited models, in the transaction that writes it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import ClauseElement, insert, inspect, select, tuple_
from sqlalchemy.orm import Mapper, Session

from unitwork.audit.entry import CONFIDENTIAL, DERIVED, AuditAction, AuditColumns, AuditEntry, Changes, recordable
from unitwork.dao.statements.columns import soft_deletable, version_key
from unitwork.dao.statements.keyed import keyed
from unitwork.dao.statements.selection import primary_key
from unitwork.errors.model import UnrecordableKey
from unitwork.models.audited import Audited
from unitwork.models.base import mappers_of
from unitwork.models.soft_delete import INCLUDE_DELETED

STAMPS: Final = frozenset({"created_at", "created_by", "updated_at", "updated_by"})
"""What an entry tells in columns of its own, as it does the key and the version."""
ROWS: Final = 1000
"""Rows of one UPDATE or DELETE that are told one by one."""
KIND: Final = "unitwork_kind"
"""The label of what says of which class of a hierarchy a row is."""

Key = tuple[Any, ...]


class AuditTrail:
    """Told by each session of a container what it has written. One INSERT for all that a flush has to tell.

    `entries` is the mapped class that entries are of: `AuditEntry`, or one of the host's own (`AuditColumns`), on
    whatever base. Audited models may be of any base too.
    """

    def __init__(self, entries: type[AuditColumns] = AuditEntry) -> None:
        self._entries = entries
        self._insert = insert(inspect(entries).local_table)
        self._key_type = _python_type(entries)

    def record_type(self, model: type[Any]) -> str:
        """Return what entries call the model's records."""
        return _record_type(inspect(model))

    def record_id(self, model: type[Any], key: Any) -> Any:
        """Return what entries call the row of this primary key, a tuple where it has several columns. In a `record_id`
        of text several are a JSON list of texts. Raises `UnrecordableKey`.
        """
        values = key if isinstance(key, tuple) else (key,)
        if len(values) == 1 and (self._key_type is None or isinstance(values[0], self._key_type)):
            return values[0]
        if self._key_type is not str:
            raise UnrecordableKey(model.__name__, self._entries.__name__)
        texts = [str(recordable(value)) for value in values]
        return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)

    def flushed(self, session: Session) -> None:
        """A flush has sent its statements; the models still know what was changed. Raises what the INSERT raises."""
        self._store(session, list(self._of_flush(session)))

    def entry(self, row: Any) -> tuple[type[Any], Mapping[str, Any]] | None:
        """Return the entry, as model and values, that a flush would store for a new row; None for a model without
        audit.
        """
        if not isinstance(row, Audited):
            return None
        return self._entries, self._entry(row, AuditAction.CREATED, _all_fields(row, "after"))

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
        ids = {key: self.record_id(mapper.class_, key) for key in before}  # or the write would be sent, and not told of
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
    version = version_key(mapper.class_)
    for key, old in before.items():
        new, kind = after.get(key), mapper
        if KIND in old:
            kind = mapper.polymorphic_map.get(old[KIND], mapper)
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
    """The type of `record_id`; None where it tells none, and takes what it is given."""
    try:
        kind: type[Any] = inspect(entries).columns["record_id"].type.python_type
    except NotImplementedError:
        return None
    return kind


def _record_type(mapper: Mapper[Any]) -> str:
    """Of the first table of a hierarchy, by which every row of it is identified."""
    table: Any = mapper.base_mapper.local_table
    return str(getattr(table, "fullname", table))


def _number(version: Any) -> int | None:
    """A version that a host counts in its own way (a text, SQL) is none that an entry can hold."""
    return version if isinstance(version, int) else None


def _rows(session: Session, mapper: Mapper[Any], criterion: Any) -> dict[Key, Any]:
    """The rows that meet the criterion, locked, as mappings by attribute; one more than `ROWS` at most. Of the table,
    and not of the model, as some of a hierarchy's rows may be of another.
    """
    names, version = primary_key(mapper.class_), version_key(mapper.class_)
    found_by = {name: mapper.attrs[name].columns[0] for name in names}
    if version is not None:
        found_by[version] = mapper.attrs[version].columns[0]
    found_by |= {field: attribute.columns[0] for field, attribute in _attributes(mapper).items()}
    columns = [column.label(name) for name, column in found_by.items()]
    if mapper.polymorphic_on is not None:
        columns.append(mapper.polymorphic_on.label(KIND))
    statement = select(*columns).select_from(mapper.persist_selectable).limit(ROWS + 1)
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
    """The key's column in the table that is written to, or an UPDATE would join the other one."""
    if attribute.columns[0].table is mapper.local_table:
        return attribute.class_attribute
    return next((one for one in attribute.columns if one.table is mapper.local_table), attribute.class_attribute)


def _audited(table: Any) -> Mapper[Any] | None:
    """The audited model of a table, of whatever registry; of a hierarchy in one table its first model, some of whose
    rows may be of none. The table of an ORM's construct is an annotated copy, equal and not the same.
    """
    for mapper in mappers_of(Audited):
        if table == mapper.local_table:
            while mapper.inherits is not None and mapper.inherits.local_table is mapper.local_table:
                mapper = mapper.inherits  # noqa: PLW2901 - up to the first
            return mapper
    return None


def _action(model: type[Any], changes: Changes) -> AuditAction:
    """What a change of a row means: of a model with `SoftDelete`, `deleted_at` tells a soft delete and its undoing."""
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
    """The fields that an entry tells of, and whether their values are secret."""
    return tuple(
        (field, bool(attribute.columns[0].info.get(CONFIDENTIAL))) for field, attribute in _attributes(mapper).items()
    )


def _attributes(mapper: Mapper[Any]) -> dict[str, Any]:
    """The model's columns that an entry tells of, with those of models that share its table."""
    told_apart = {*STAMPS, *primary_key(mapper.class_), version_key(mapper.class_)}
    return {
        attribute.key: attribute
        for one in mapper.self_and_descendants
        if one.local_table is mapper.local_table
        for attribute in one.column_attrs
        if attribute.key not in told_apart
        and attribute.columns[0].table is not None
        and not attribute.columns[0].info.get(DERIVED)
    }
