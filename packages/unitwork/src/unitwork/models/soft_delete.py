"""Soft delete: exclude rows with `deleted_at` from every SELECT of a model, including joins, subqueries and
relationship loads, unless the statement sets `execution_options(include_deleted=True)`.

Our sessions apply it by themselves (`unitwork.sessions.soft_delete_filter`). It affects models only: SELECTs of tables,
textual SQL, and UPDATE and DELETE constructs are sent unchanged.
"""

from typing import Any, Final

from sqlalchemy.orm import with_loader_criteria

from unitwork.models.base import SoftDelete

INCLUDE_DELETED: Final = "include_deleted"
"""The execution option of a statement that includes soft-deleted rows, or has its own condition to exclude them."""


def _kept(model: type[Any]) -> Any:
    return model.deleted_at.is_(None)


NOT_DELETED: Final = with_loader_criteria(SoftDelete, _kept, include_aliases=True)
"""The loader option that excludes soft-deleted rows from a SELECT."""
