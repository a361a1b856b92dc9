"""LoadedValues: the values of a session's models from before it changed them, restored when the change is undone.

At a rollback SQLAlchemy expires every model, for its session to read again. Ours ends with the rollback, and models
outlive it: one that was only read keeps its values, and a changed one gets its loaded values back.
"""

from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.base import NO_VALUE
from sqlalchemy.orm.collections import collection_adapter

UNKNOWN: Final = NO_VALUE
"""Marks a value that was not loaded, or that was changed in place."""

Values = dict[str, Any]


class LoadedValues:
    """Values, at the beginning of a transaction or savepoint, of the models it may have changed."""

    def __init__(self) -> None:
        self._before: WeakKeyDictionary[InstanceState[Any], Values] = WeakKeyDictionary()

    def note(self, states: Iterable[InstanceState[Any]], *, skipped: Any = ()) -> None:
        """Keep the values of models that are about to change or have unflushed changes, and of the models that their
        changed relationships refer to. `skipped` are models that the transaction itself added.
        """
        for state in states:
            if state not in skipped:
                self._note(state)
            for related in _related(state):
                if related not in skipped and related.key is not None and related not in self._before:
                    self._note(related)

    def _note(self, state: InstanceState[Any]) -> None:
        known, columns = state.dict, state.mapper.column_attrs
        before = self._before.get(state)
        first = before is None
        if before is None:
            before = self._before[state] = {key: value for key, value in known.items() if key in columns}
        for key, value in state.committed_state.items():
            if key not in columns:
                before.setdefault(key, value)
            elif first or (value is UNKNOWN and before.get(key) is known.get(key)):  # changed in place
                before[key] = value

    def join(self, outer: "LoadedValues") -> None:
        """Merge these values into those of the enclosing transaction, at a savepoint's release."""
        for state, before in self._before.items():
            there = outer._before.setdefault(state, before)  # noqa: SLF001 - another instance of this class
            if there is not before:
                for key, value in before.items():
                    if key not in state.mapper.column_attrs:
                        there.setdefault(key, value)

    def clear(self) -> None:
        """Drop the values: the changes are stored."""
        self._before.clear()

    def put_back(self, *, skipped: Any = (), certain: bool = True) -> list[InstanceState[Any]]:
        """Restore these values in the models, with nothing pending; return the models' states. If it isn't `certain`
        that the changes are undone, changed values are left unloaded.
        """
        states = [state for state in self._before if state not in skipped and state.obj() is not None]
        for state in states:
            before = self._before[state]
            _put_back(state, before if certain else _unchanged(state, before))
        return states


def keep_identity(state: InstanceState[Any]) -> None:
    """Keep the primary key of an expired model readable."""
    if state.key is not None and state.obj() is not None:
        for column, value in zip(state.mapper.primary_key, state.key[1], strict=True):
            key = state.mapper.get_property_by_column(column).key
            if key not in state.dict:
                state.dict[key] = value
                state.expired_attributes.discard(key)


def _related(state: InstanceState[Any]) -> Iterable[InstanceState[Any]]:
    """Return the models whose foreign keys a flush sets: old and new members of each changed relationship, and members
    of all loaded relationships of a model to be deleted.
    """
    relationships, deleted = state.mapper.relationships, _to_be_deleted(state)
    changed = [key for key in (state.dict if deleted else state.committed_state) if key in relationships]
    for key in changed:
        for value in (state.committed_state.get(key), state.dict.get(key)):
            yield from map(instance_state, _models(value))


def _to_be_deleted(state: InstanceState[Any]) -> bool:
    session = state.session
    return session is not None and state in session._deleted  # noqa: SLF001 - `deleted` would build a set of them all


def _models(value: Any) -> Iterable[Any]:
    if value is None or value is UNKNOWN:
        return ()
    if hasattr(value, "_sa_adapter"):
        return list(collection_adapter(value))
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return (value,) if hasattr(value, "_sa_instance_state") else ()


def _unchanged(state: InstanceState[Any], before: Values) -> Values:
    known = state.dict
    return {key: value if key in known and known[key] is value else UNKNOWN for key, value in before.items()}


def _put_back(state: InstanceState[Any], before: Values) -> None:
    known, columns, manager = state.dict, state.mapper.column_attrs, state.manager
    unknown = {key for key in known if key in columns and key not in before}
    for key, value in before.items():
        if value is UNKNOWN or (key not in columns and manager[key].impl.collection and value is None):
            unknown.add(key)
    state._expire_attributes(known, unknown)  # noqa: SLF001 - does what `Session.expire` does with names
    for key, value in before.items():
        if key in unknown:
            continue
        if key in columns:
            known[key] = value
            state.expired_attributes.discard(key)
        else:
            impl: Any = manager[key].impl
            impl.set_committed_value(state, known, value)
    held: Any = state._instance_dict()  # noqa: SLF001 - the identity map it is in, if any
    state._commit_all(known, held)  # noqa: SLF001 - it marks restored values as loaded; no public call does
    state.expired = bool(unknown.intersection(columns.keys()))
    vars(state).pop("parents", None)
    keep_identity(state)
