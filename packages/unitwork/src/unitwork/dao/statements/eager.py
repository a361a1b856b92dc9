"""Eager: the relationships that a model's mapping loads together with a row."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.orm import RelationshipProperty

JOINED: Final = frozenset({"joined", False})
"""The `lazy` settings of a relationship that is loaded by a JOIN."""


def loads_beside(model: type[Any]) -> bool:
    """True if loading rows sends further statements for relationships."""
    hashable: Any = model
    return _ways(hashable)[0]


def loads_collections(model: type[Any]) -> bool:
    """True if loading rows joins collections, so that one row appears several times."""
    hashable: Any = model
    return _ways(hashable)[1]


@cache
def _ways(model: type[Any]) -> tuple[bool, bool]:
    along = list(_along(model, frozenset()))
    return (
        any(one.lazy in {"selectin", "subquery", "immediate"} for one in along),
        any(one.lazy in JOINED and one.uselist for one in along),
    )


def _along(model: type[Any], seen: frozenset[type[Any]]) -> Iterator[RelationshipProperty[Any]]:
    """Yield the relationships of the model, and of the models joined to it."""
    for one in inspect(model).relationships:
        yield one
        target = one.mapper.class_
        if one.lazy in JOINED and target not in seen:
            yield from _along(target, seen | {model})
