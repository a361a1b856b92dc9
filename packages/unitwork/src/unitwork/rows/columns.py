"""Columns: find mapped columns by name or attribute. An unknown one is an error, never a dropped condition."""

from functools import cache
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from unitwork.errors.query import UnknownColumn
from unitwork.models.base import SoftDelete

ColumnName = str | InstrumentedAttribute[Any]
"""A column, as callers give it: `"email"` or `User.email`."""


def column(model: type[Any], name: ColumnName) -> InstrumentedAttribute[Any]:
    """Return the model's mapped column. Raises `UnknownColumn`, with a suggestion."""
    hashable: Any = model
    known = _attributes(hashable)
    attribute = known.get(name if isinstance(name, str) else name.key)
    if attribute is None or (not isinstance(name, str) and not issubclass(model, name.parent.class_)):
        raise UnknownColumn(model.__name__, str(name), known)
    return attribute


@cache
def _attributes(model: type[Any]) -> dict[str, InstrumentedAttribute[Any]]:
    return {key: getattr(model, key) for key in column_keys(model)}


def version_key(model: type[Any]) -> str | None:
    """The attribute of the version that each change counts up."""
    hashable: Any = model
    return _version_key(hashable)


@cache
def _version_key(model: type[Any]) -> str | None:
    mapper: Mapper[Any] = inspect(model)
    counted = mapper.version_id_col
    return None if counted is None else mapper.get_property_by_column(counted).key


def column_keys(model: type[Any]) -> tuple[str, ...]:
    """Return the attributes of all columns, in the order of the mapping."""
    return tuple(inspect(model).column_attrs.keys())


def check_columns(model: type[Any], names: Any) -> None:
    """Raise `UnknownColumn` for the first name that the model doesn't have."""
    for name in names:
        column(model, name)


def check_soft_deletable(model: type[Any]) -> None:
    """Raises `UnknownColumn` where the model has no `deleted_at`, and TypeError where it has one of its own meaning."""
    column(model, "deleted_at")
    if not soft_deletable(model):
        name = model.__name__
        msg = f"{name}.deleted_at is the model's own. Derive {name} from SoftDelete to have its rows soft-deleted."
        raise TypeError(msg)


def soft_deletable(model: type[Any]) -> bool:
    """True for a model with `SoftDelete`. A `deleted_at` of the host's own means what the host says."""
    return issubclass(model, SoftDelete)
