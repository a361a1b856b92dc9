"""Instances: make models from the rows of a SELECT, in a session or detached, as if their session had ended.

Loading through SQLAlchemy's session takes several times as long as reading the columns. Mappings that the plan doesn't
cover (inheritance, deferred columns, composites, eager relationships, keys that aren't the table's, load listeners) are
left to it.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Table
from sqlalchemy.orm import ColumnProperty, Mapper, RelationshipProperty, Session, SynonymProperty
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.instrumentation import ClassManager
from sqlalchemy.orm.path_registry import PathRegistry

from unitwork.models.unloaded_columns import refuse_unseen_loads_of
from unitwork.rows.columns import column_keys

LAZY_STRATEGIES: Final = frozenset({"select", True, "raise", "raise_on_sql", "dynamic", "write_only"})
"""The `lazy` settings of a relationship that don't affect loading its row."""


class InstancePlan:
    """Makes instances of one model from rows. `keys` are its attributes, in the order of a row's columns."""

    def __init__(self, mapper: Mapper[Any]) -> None:
        self.keys: Final = column_keys(mapper.class_)
        self._manager: Any = mapper.class_manager
        self._model: Any = mapper.class_
        places = [self.keys.index(mapper.get_property_by_column(column).key) for column in mapper.primary_key]
        self._place = places[0]
        self._identity = itemgetter(*places) if len(places) > 1 else None
        """Extracts a composite key from a row; None if the key is one column."""
        identity_class, _, token = mapper.identity_key_from_primary_key((0,) * len(places))
        self._identity_class, self._token = identity_class, token
        self._path = PathRegistry.coerce((mapper,))
        # Get the state class from an instance made by the manager, which also marks the mapper as in use.
        self._state = type(instance_state(self._manager.new_instance()))
        refuse_unseen_loads_of(mapper)  # for models of any base class

    @property
    def has_listeners(self) -> bool:
        """True if there are listeners to load events."""
        return bool(self._manager.dispatch.load or self._manager.dispatch.refresh)

    def instances(self, rows: Iterable[Sequence[Any]], session: Session | None = None) -> list[Any]:
        """Return one instance for each row: the session's own, or a detached one without a session. Columns after the
        attributes are ignored.
        """
        if session is not None:
            return self._held(rows, session)
        # The manager's `new_instance`, inlined: a call for each row would dominate the time of a page.
        model, manager, state, keys = self._model, self._manager, self._state, self.keys
        new, place_of_state, path = model.__new__, manager.STATE_ATTR, self._path
        identity_class, identity, place, token = self._identity_class, self._identity, self._place, self._token
        made = []
        for row in rows:
            instance = new(model)
            known = instance.__dict__
            known[place_of_state] = of_it = state(instance, manager)
            known.update(zip(keys, row, strict=False))
            of_it.key = identity_class, (row[place],) if identity is None else identity(row), token
            of_it.load_path = path
            made.append(instance)
        return made

    def joined(self, rows: Iterable[Sequence[Any]], session: Session | None) -> list[Any]:
        """Return the instance of each row of a join: None for a row without one, and one instance for each key."""
        made: dict[Any, Any] = {}
        found = []
        for row in rows:
            key = self._key(row)
            if key not in made:
                missing = all(value is None for value in key)
                made[key] = None if missing else self.instances((row,), session)[0]
            found.append(made[key])
        return found

    def _key(self, row: Sequence[Any]) -> tuple[Any, ...]:
        return (row[self._place],) if self._identity is None else self._identity(row)

    def _held(self, rows: Iterable[Sequence[Any]], session: Any) -> list[Any]:
        """Return the session's instance of each row, as SQLAlchemy's loading does: one that it holds keeps its values,
        and is given those that it lacks.
        """
        model, manager, new_state, keys = self._model, self._manager, self._state, self.keys
        new, place_of_state, path = model.__new__, manager.STATE_ATTR, self._path
        identity_class, identity, place, token = self._identity_class, self._identity, self._place, self._token
        identity_map, session_id = session.identity_map, session.hash_key
        held, add = identity_map.get, identity_map._add_unpresent  # noqa: SLF001 - as loading does; test_same_reads pins it
        found = []
        for row in rows:
            key = identity_class, (row[place],) if identity is None else identity(row), token
            instance = held(key)
            if instance is None:
                instance = new(model)
                known = instance.__dict__
                known[place_of_state] = state = new_state(instance, manager)
                known.update(zip(keys, row, strict=False))
                state.key, state.load_path, state.session_id = key, path, session_id
                add(state, key)
            else:
                state = instance_state(instance)
                unloaded = state.unloaded
                if unloaded:
                    known = instance.__dict__
                    known.update((name, value) for name, value in zip(keys, row, strict=False) if name in unloaded)
                    state._commit(known, unloaded)  # noqa: SLF001 - as above
            found.append(instance)
        return found


class _Known(NamedTuple):
    """A snapshot of a model's mapping, and the plan made from it."""

    attributes: Any
    columns: tuple[str, ...]
    plan: InstancePlan | None


_known: Final[dict[type[Any], _Known]] = {}


def instance_plan(model: type[Any]) -> InstancePlan | None:
    """Return the plan; None for a model that only a session can load."""
    mapper: Mapper[Any] = model.__mapper__
    # A model imported since may have added a relationship to this one.
    mapper.registry.configure(cascade=True)
    known = _known.get(model)
    if known is None or known.attributes is not mapper.attrs:
        known = _known[model] = _looked_at(mapper, known)
    plan = known.plan
    return None if plan is None or plan.has_listeners else plan


def _looked_at(mapper: Mapper[Any], before: _Known | None) -> _Known:
    columns = column_keys(mapper.class_)
    if before is not None and before.columns != columns:  # cached statements lack the new columns
        return _Known(mapper.attrs, before.columns, None)
    return _Known(mapper.attrs, columns, InstancePlan(mapper) if _plain(mapper) else None)


def _plain(mapper: Mapper[Any]) -> bool:
    """True if one row of one table determines the whole instance."""
    table = mapper.local_table
    return (
        mapper.inherits is None
        and mapper.polymorphic_on is None
        and mapper.allow_partial_pks
        and not mapper.always_refresh
        and isinstance(table, Table)
        and mapper.persist_selectable is table
        and set(mapper.primary_key) == set(table.primary_key.columns)
        and type(mapper.class_manager) is ClassManager
        and all(_left_alone(attribute, table) for attribute in mapper.iterate_properties)
    )


def _left_alone(attribute: Any, table: Table) -> bool:
    """True if loading a row sets no more than the column's value for this attribute."""
    if isinstance(attribute, ColumnProperty):
        columns = attribute.columns
        return len(columns) == 1 and columns[0] in set(table.columns) and not attribute.deferred
    if isinstance(attribute, RelationshipProperty):
        return attribute.lazy in LAZY_STRATEGIES
    return isinstance(attribute, SynonymProperty)
