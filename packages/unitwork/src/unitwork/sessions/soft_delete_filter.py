"""Leaves soft-deleted rows out of what sessions select, unless asked not to (`unitwork.models.soft_delete`)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select

from unitwork.models.soft_delete import INCLUDE_DELETED, NOT_DELETED

Options = Mapping[str, Any]


def without_deleted(statement: Any, given: Options, session_wide: Options) -> Any:
    """The statement as a session of ours sends it, executed with these execution options.

    No `do_orm_execute` listener: having one costs every statement several times as much.
    """
    if not isinstance(statement, Select) or not _selects_models(statement):
        return statement
    for options in (given, statement.get_execution_options(), session_wide):
        if INCLUDE_DELETED in options:
            return statement if options[INCLUDE_DELETED] else statement.options(NOT_DELETED)
    return statement.options(NOT_DELETED)


def _selects_models(statement: Any) -> bool:
    """Whether it is somebody's question, and about models. The load of a relationship has its parent's options, and
    reading a row anew must find it.
    """
    if statement._propagate_attrs.get("compile_state_plugin") != "orm":  # noqa: SLF001 - as ORMExecuteState asks it
        return False
    options = statement._compile_options  # noqa: SLF001 - as above
    path = getattr(options, "_current_path", None)
    return not getattr(options, "_for_refresh_state", False) and (path is None or path.is_root)
