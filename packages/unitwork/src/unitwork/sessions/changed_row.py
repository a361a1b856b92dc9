"""Store the change of one row by one UPDATE, as a flush would, in a third of a flush's time.

A flush sorts its work by dependencies and looks through every relationship. If one held row has changed in columns of
its own and nothing else is pending, there is nothing to sort. Anything else is left to the flush: new or deleted rows,
changed keys and versions, SQL expressions, values that the database computes, listeners. So is every failure: a flush
that meets the driver's error, or no row, raises what it always raises and puts the models back.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from types import FunctionType
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Update, bindparam, update
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.sql import schema

from unitwork.rows.instances import instance_plan
from unitwork.rows.new_rows import has_expression
from unitwork.sessions.inside_statements import InsideStatements
from unitwork.sessions.write_recorder import tells_changes

MAX_CACHED_UPDATES: Final = 1024
"""Maximum number of cached UPDATEs: one for each table and set of changed columns."""
FLUSH_EVENTS: Final = ("before_flush", "after_flush_postexec")
_NEW, _FOUND_BY = "new_", "found_by_"
"""Prefixes of the parameters that are stored, and of those that find the row."""


class _Changes(NamedTuple):
    """The properties of a model that decide how a change of its rows is stored."""

    columns: dict[str, str]
    """Column key by attribute."""
    finding: tuple[str, ...]
    """Attributes that find the row: the primary key, and the version if there is one."""
    version: str | None
    """Attribute of the version."""
    count: Callable[[Any], Any]
    """Return the version after the given one."""
    stamps: tuple[tuple[str, Callable[[], Any]], ...]
    """Attributes that each change sets, with their values."""


async def store_change(statements: InsideStatements) -> bool:
    """Store the one pending change of the session. True if stored; False if nothing was done and a flush is needed.

    Raises what the flush would raise.
    """
    session: Any = statements.session
    modified = session.identity_map._modified  # noqa: SLF001 - `dirty` makes a set of models
    if len(modified) != 1 or session._new or session._deleted or not statements.may_write:  # noqa: SLF001 - as above
        return False
    (state,) = modified
    row, changes = state.obj(), _changes_of(state.mapper)
    if row is None or changes is None or _heard(session, state):
        return False
    recorder = session.recorder
    if recorder is not None and not tells_changes(recorder):
        return False
    values = _changed(state, changes)
    if not values:
        return False
    try:
        made = {attribute: make() for attribute, make in changes.stamps if attribute not in values}
        if changes.version is not None:
            made[changes.version] = changes.count(state.dict[changes.version])
    except Exception:  # noqa: BLE001 - whatever it is, the flush meets it too
        return False
    columns = changes.columns
    parameters = {f"{_NEW}{columns[attribute]}": value for attribute, value in (values | made).items()}
    statement = _update_of(state.mapper, tuple(sorted(parameters)))
    parameters |= {f"{_FOUND_BY}{key}": state.dict[key] for key in changes.finding}
    if (await statements.send(statement, parameters, flushing=True)).matched != 1:
        return False  # the flush's own UPDATE matches no row either, and says what that means
    session.note_pending()
    for attribute, value in made.items():
        state.dict[attribute] = value
        state.committed_state.pop(attribute, None)
    try:
        entry = None if recorder is None else recorder.change(row)
    except Exception as error:
        statements.unit.unrecorded(error)
        raise
    session._register_persistent({state})  # noqa: SLF001 - what a flush does at its end; test_changed_row pins it
    if entry is not None:
        await statements.store(*entry)
    return True


def _changed(state: InstanceState[Any], changes: _Changes) -> dict[str, Any] | None:
    """Return the changed attributes that can be stored by themselves; None or empty if there are none."""
    known, values = state.dict, {}
    for key, before in state.committed_state.items():
        if key not in changes.columns or key not in known or key in changes.finding:
            return None
        if state.manager[key].impl.is_equal(known[key], before) is not True:
            values[key] = known[key]
    lacking = any(known.get(key) is None for key in changes.finding)
    return None if lacking or has_expression(values) or vars(state).get("_pending_mutations") else values


def _heard(session: Any, state: InstanceState[Any]) -> bool:
    """True if a listener could change what is stored, or is told of it."""
    listeners, mapper = session.dispatch, state.mapper
    return bool(
        any(getattr(listeners, event) for event in FLUSH_EVENTS)
        or len(listeners.after_flush) != 1  # ours
        or mapper.dispatch.before_update
        or mapper.dispatch.after_update
        or mapper.class_manager.dispatch.refresh_flush
        or instance_plan(mapper.class_) is None
    )


@cache
def _changes_of(mapper: Mapper[Any]) -> _Changes | None:
    """Return how a change is stored; None if only a flush can store it."""
    table: Any = mapper.local_table
    columns: dict[str, str] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if len(attribute.columns) > 1 or not isinstance(column, Column) or column.table is not table:
            return None
        columns[attribute.key] = column.key
    counted, count = mapper.version_id_col, mapper.version_id_generator
    if mapper.base_mapper.eager_defaults is True or mapper._delete_orphans or mapper.composites:  # noqa: SLF001 - no public name
        return None
    if counted is not None and not callable(count):
        return None
    stamps = []
    for key, column_key in columns.items():
        column = table.columns[column_key]
        if column is counted:
            continue
        if column.server_onupdate is not None or column.computed is not None:
            return None
        if column.onupdate is not None:
            make = _made_by(column.onupdate)
            if make is None:
                return None
            stamps.append((key, make))
    finding = tuple(mapper.get_property_by_column(key).key for key in _finding(mapper))
    version = None if counted is None else finding[-1]
    return _Changes(columns, finding, version, count if callable(count) else lambda before: before, tuple(stamps))


def _made_by(onupdate: Any) -> Callable[[], Any] | None:
    """Return the function of a stamp that depends on nothing; None for one that needs an executing statement."""
    if onupdate.is_scalar:
        return lambda: onupdate.arg
    # SQLAlchemy's own wrapper of a function without arguments.
    if isinstance(onupdate.arg, FunctionType) and onupdate.arg.__code__.co_filename == schema.__file__:
        return lambda: onupdate.arg(None)
    return None


def _finding(mapper: Mapper[Any]) -> list[Any]:
    counted = mapper.version_id_col
    return [*mapper.primary_key, *(() if counted is None else (counted,))]


@lru_cache(maxsize=MAX_CACHED_UPDATES)
def _update_of(mapper: Mapper[Any], parameters: tuple[str, ...]) -> Update:
    """Return the UPDATE of one row whose new values have these names."""
    table: Any = mapper.local_table
    statement = update(table)
    for column in _finding(mapper):
        name = f"{_FOUND_BY}{mapper.get_property_by_column(column).key}"
        statement = statement.where(column == bindparam(name, type_=column.type))
    changed = {name: table.columns[name.removeprefix(_NEW)] for name in parameters}
    return statement.values({column: bindparam(name, type_=column.type) for name, column in changed.items()})
