"""Soft delete, for every SELECT: rows with `deleted_at` are left out wherever a model appears, in joins, subqueries and
relationship loads too, unless the statement says `execution_options(include_deleted=True)`.

A session of ours applies it by itself (`unitwork.sessions.soft_delete_filter`). It is about models: SELECTs of tables,
textual SQL, UPDATE and DELETE constructs are taken at their word.
"""

from typing import Any, Final

from sqlalchemy.orm import with_loader_criteria

from unitwork.models.base import SoftDelete

INCLUDE_DELETED: Final = "include_deleted"
"""The execution option of a statement that takes soft-deleted rows as well, or leaves them out by itself."""


def _kept(model: type[Any]) -> Any:
    return model.deleted_at.is_(None)


NOT_DELETED: Final = with_loader_criteria(SoftDelete, _kept, include_aliases=True)
"""The option of a SELECT."""
