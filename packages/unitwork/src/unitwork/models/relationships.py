"""Relationships are loaded with their row or raise on access: a lazy load would be a hidden statement.

The default is SQLAlchemy's `lazy="raise"`, with an error that names the loader option to add. A relationship with an
explicit setting (`lazy="selectin"`) keeps it.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapper, RelationshipProperty

from unitwork.errors.model import RelationshipNotLoaded


def refuse_lazy_loads(base: type[DeclarativeBase]) -> None:
    """Refuse lazy loads for every model of this base."""
    event.listen(base, "before_mapper_configured", _raise_by_default, propagate=True)
    event.listen(base, "mapper_configured", _name_the_option, propagate=True)


def _raise_by_default(mapper: Mapper[Any], _model: type[Any]) -> None:
    for relationship in _relationships(mapper):
        if relationship.lazy == "select" and relationship.parent is mapper:
            # SQLAlchemy does the same for `WriteOnlyMapped`: the loader is chosen when mappers are configured.
            relationship.lazy = "raise"
            relationship.strategy_key = (("lazy", "raise"),)


def _name_the_option(mapper: Mapper[Any], model: type[Any]) -> None:
    for relationship in _relationships(mapper):
        if relationship.lazy == "raise":
            attribute: Any = getattr(model, relationship.key)
            attribute.impl.callable_ = _refusing(attribute.impl.callable_, model, relationship)


def _relationships(mapper: Mapper[Any]) -> list[RelationshipProperty[Any]]:
    return [one for one in mapper.iterate_properties if isinstance(one, RelationshipProperty)]


def _refusing(
    load: Callable[..., Any], model: type[Any], relationship: RelationshipProperty[Any]
) -> Callable[..., Any]:
    """Wrap SQLAlchemy's loader: it raises in the same cases, with an error that names the loader option."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        try:
            return load(*arguments, **options)
        except InvalidRequestError as error:
            option = "selectinload" if relationship.uselist else "joinedload"
            raise RelationshipNotLoaded(model.__name__, relationship.key, option) from error

    return refuse
