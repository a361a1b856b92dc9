"""Audited: a marker for models whose changes are recorded. The trail itself is `unitwork.audit`, an optional part."""

from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.orm import Mapper


class Audited:
    """Mixin of models of any base: changes of their rows are recorded, in the transaction that makes them."""


_mappers: Final[WeakKeyDictionary[Any, "ref[Mapper[Any]]"]] = WeakKeyDictionary()
"""First mapper of each audited table. Noted when it is made: each statement of a session asks."""


@event.listens_for(Audited, "after_mapper_constructed", propagate=True)
def _note(mapper: Mapper[Any], _model: type[Any]) -> None:
    while mapper.inherits is not None and mapper.inherits.local_table is mapper.local_table:
        mapper = mapper.inherits
    _mappers.setdefault(mapper.local_table, ref(mapper))


def audited_mapper(table: Any) -> Mapper[Any] | None:
    """Return the mapper of a table's audited model, of any registry; None without one. For a hierarchy in one table it
    is the first model's, and not every row needs to be an audited model's.

    Tables are found by equality, since that of an ORM construct is an annotated copy.
    """
    found = _mappers.get(table)
    return None if found is None else found()
