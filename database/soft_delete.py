"""Leaves soft-deleted rows out of what sessions select, unless asked not to (`domain.soft_delete`)."""

from sqlalchemy import Select
from sqlalchemy.orm import ORMExecuteState

from domain.soft_delete import INCLUDE_DELETED, NOT_DELETED


def leave_out_deleted(state: ORMExecuteState) -> None:
    """A session's `do_orm_execute` listener. The load of a relationship has its parent's options, and reading a row
    anew must find it.
    """
    if (
        state.is_orm_statement
        and isinstance(state.statement, Select)
        and not state.is_column_load
        and not state.is_relationship_load
        and not state.execution_options.get(INCLUDE_DELETED, False)
    ):
        state.statement = state.statement.options(NOT_DELETED)
