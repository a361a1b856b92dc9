"""Soft delete: exclude rows with `deleted_at` from every SELECT of a model, including joins, subqueries and
relationship loads, unless the statement sets `execution_options(include_deleted=True)`.

Our sessions apply it by themselves (`without_deleted`). It affects models only: SELECTs of tables,
textual SQL, and UPDATE and DELETE constructs are sent unchanged.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.orm import with_loader_criteria

from unitwork.models.base import SoftDelete

INCLUDE_DELETED: Final = "include_deleted"
"""The execution option of a statement that includes soft-deleted rows, or has its own condition to exclude them."""


def _kept(model: type[Any]) -> Any:
    return model.deleted_at.is_(None)


NOT_DELETED: Final = with_loader_criteria(SoftDelete, _kept, include_aliases=True)
"""The loader option that excludes soft-deleted rows from a SELECT."""


Options = Mapping[str, Any]


def without_deleted(statement: Any, given: Options, session_wide: Options) -> Any:
    """Return the statement as our sessions send it when executed with these execution options.

    Not a `do_orm_execute` listener: one would make every statement several times slower.
    """
    if not isinstance(statement, Select) or not _selects_models(statement):
        return statement
    for options in (given, statement.get_execution_options(), session_wide):
        if INCLUDE_DELETED in options:
            return statement if options[INCLUDE_DELETED] else statement.options(NOT_DELETED)
    return statement.options(NOT_DELETED)


def _selects_models(statement: Any) -> bool:
    """True if it is a SELECT of models by the caller. Loads of relationships take their parent's options, and a refresh
    of a row must find it even if deleted.
    """
    if statement._propagate_attrs.get("compile_state_plugin") != "orm":  # noqa: SLF001 - as ORMExecuteState reads it
        return False
    options = statement._compile_options  # noqa: SLF001 - as above
    path = getattr(options, "_current_path", None)
    return not getattr(options, "_for_refresh_state", False) and (path is None or path.is_root)
