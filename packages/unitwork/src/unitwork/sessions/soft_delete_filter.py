"""Soft-delete filter: leave soft-deleted rows out of the sessions' SELECTs by default
(`unitwork.models.soft_delete`).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select

from unitwork.models.soft_delete import INCLUDE_DELETED, NOT_DELETED

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
    if statement._propagate_attrs.get("compile_state_plugin") != "orm":  # noqa: SLF001 - as ORMExecuteState asks it
        return False
    options = statement._compile_options  # noqa: SLF001 - as above
    path = getattr(options, "_current_path", None)
    return not getattr(options, "_for_refresh_state", False) and (path is None or path.is_root)
