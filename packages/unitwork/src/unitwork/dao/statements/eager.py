"""Eager: what reading a row of a model loads along with it, by its mapping."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.orm import RelationshipProperty

JOINED: Final = frozenset({"joined", False})
"""How a mapping says that a read joins what it refers to."""


def loads_beside(model: type[Any]) -> bool:
    """Whether a read sends statements of its own for relationships."""
    hashable: Any = model
    return _ways(hashable)[0]


def loads_collections(model: type[Any]) -> bool:
    """Whether a read joins collections, so that a row comes more than once."""
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
    """The relationships of the model, and of those that are joined to it."""
    for one in inspect(model).relationships:
        yield one
        target = one.mapper.class_
        if one.lazy in JOINED and target not in seen:
            yield from _along(target, seen | {model})
