"""Portraits: all that can be seen of a model's instance, to be compared with another's."""

import copy
import pickle
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState


def portrait(instance: Any, made: Iterable[str] = ()) -> Mapping[str, Any]:
    """Its identity, its state and its values with their types. Of `made` attributes only the type is told."""
    if instance is None:
        return {"instance": None}
    state: InstanceState[Any] = inspect(instance)
    key: Any = state.key
    mapper = state.mapper
    keys_made = {mapper.get_property_by_column(one).key for one in mapper.primary_key} <= set(made)
    return {
        "class": type(instance),
        "identity": None if key is None else (type(key), key[0], _values(key[1], made=keys_made), type(key[1]), key[2]),
        "hashable": key is None or isinstance(hash(key), int),
        "identity_key": None if key is None or keys_made else repr(state.mapper.primary_key_from_instance(instance)),
        "token": state.identity_token,
        "life": (state.transient, state.pending, state.persistent, state.deleted, state.detached, state.was_deleted),
        "modified": state.modified,
        "expired": (state.expired, set(state.expired_attributes)),
        "unloaded": state.unloaded,
        "unmodified": state.unmodified,
        "committed": value_of(state.committed_state),
        "options": state.load_options,
        "path": str(state.load_path),
        "callables": dict(state.callables),
        "strongly held": state._strong_obj is not None,
        "parents": set(state.parents),
        "dict": {name: type(value) if name in made else value_of(value) for name, value in _dict(instance).items()},
    }


def _dict(instance: Any) -> Mapping[str, Any]:
    return {name: value for name, value in vars(instance).items() if name != "_sa_instance_state"}


def _values(values: Any, *, made: bool) -> Any:
    return [type(value) if made else value_of(value) for value in values]


def value_of(value: Any) -> Any:
    """What is equal for equal values of equal types only: NaN is, 1 and True are not."""
    if inspect(value, raiseerr=False) is not None and isinstance(inspect(value), InstanceState):
        return portrait(value)
    if isinstance(value, Mapping):
        return type(value), {name: value_of(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [value_of(one) for one in value]
    if isinstance(value, frozenset | set):
        return type(value), sorted(map(value_of, value), key=repr)
    return type(value), repr(value)


def copies(instance: Any) -> list[Any]:
    """What becomes of it by pickling, and by copying deeply."""
    return [pickle.loads(pickle.dumps(instance)), copy.deepcopy(instance)]


Seen = Mapping[str, Any]


def seen(instances: Iterable[Any], made: Sequence[str] = ()) -> list[Seen]:
    """A portrait of each as it is now, with an entry for each attribute's value."""
    return [_flat(portrait(instance, made)) for instance in instances]


def differing(what: str, found: Sequence[Seen], wanted: Sequence[Seen]) -> list[str]:
    """What was seen of these and not of those."""
    told = [] if len(found) == len(wanted) else [f"{what}: {len(found)} rows, not {len(wanted)}"]
    for mine, theirs in zip(found, wanted, strict=False):
        told += [
            f"{what}: {name}: {mine.get(name)!r}, not {theirs.get(name)!r}"
            for name in dict.fromkeys((*mine, *theirs))
            if mine.get(name) != theirs.get(name)
        ]
    return told


def _flat(of: Mapping[str, Any]) -> Seen:
    rest = {name: value for name, value in of.items() if name != "dict"}
    return rest | {f".{name}": value for name, value in of.get("dict", {}).items()}
