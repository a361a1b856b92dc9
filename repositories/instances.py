"""Instances: models made of the rows of a lone SELECT, as a session that has ended would leave them.

Loading by a session costs several times as much as the columns themselves. What a plan can't do (inheritance, deferred
columns, composites, relationships that load along, listeners to loads) is left to a session.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import ColumnProperty, Mapper
from sqlalchemy.orm.attributes import instance_state

from repositories.columns import column_keys

LOADED_BY_SESSIONS = frozenset({"joined", "selectin", "subquery", "immediate"})


class InstancePlan:
    """How rows of one model become instances. `keys` are its attributes, in the order that a row has them."""

    def __init__(self, mapper: Mapper[Any]) -> None:
        self.keys = column_keys(mapper.class_)
        self._manager = mapper.class_manager
        self._model: Any = mapper.class_
        primary = [self.keys.index(mapper.get_property_by_column(column).key) for column in mapper.primary_key]
        # Of a row; a slice where there is one place, as that alone would give no tuple.
        self._identity = itemgetter(*(primary if len(primary) > 1 else [slice(primary[0], primary[0] + 1)]))
        identity_class, _, token = mapper.identity_key_from_primary_key((0,) * len(primary))
        self._identity_class, self._token = identity_class, token
        # Of an instance that the manager made itself, which tells the mapper that there are instances.
        self._state = type(instance_state(self._manager.new_instance()))

    def instances(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """One for each row, as one that has been read and belongs to no session. What a row has behind the attributes
        is passed over.
        """
        # What the manager's `new_instance` does, without a call for each part of each row of a page.
        model, manager, state, keys = self._model, self._manager, self._state, self.keys
        new, place_of_state = model.__new__, manager.STATE_ATTR
        identity_class, identity, token = self._identity_class, self._identity, self._token
        made = []
        for row in rows:
            instance = new(model)
            known = instance.__dict__
            known[place_of_state] = of_it = state(instance, manager)
            known.update(zip(keys, row, strict=False))
            of_it.key = identity_class, identity(row), token
            made.append(instance)
        return made


def instance_plan(model: type[Any]) -> InstancePlan | None:
    """None for a model that only a session can load."""
    hashable: Any = model
    plan: InstancePlan | None = _plan(hashable)
    return None if plan is None or inspect(model).class_manager.dispatch.load else plan


@cache
def _plan(model: type[Any]) -> InstancePlan | None:
    mapper: Mapper[Any] = inspect(model)
    plain = (
        mapper.inherits is None
        and mapper.polymorphic_on is None
        and not mapper.composites
        and all(_plain(attribute) for attribute in mapper.column_attrs)
        and not any(relationship.lazy in LOADED_BY_SESSIONS for relationship in mapper.relationships)
    )
    return InstancePlan(mapper) if plain else None


def _plain(attribute: ColumnProperty[Any]) -> bool:
    return len(attribute.columns) == 1 and attribute.columns[0].table is not None and not attribute.deferred
