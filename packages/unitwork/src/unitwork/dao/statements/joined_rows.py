"""Joined rows: the rows of a DAO's own SELECT, of models and columns, without a session's loading.

The SELECT is sent with its models' columns in their place, as a DAO's other reads are, and models are made of them.
What the plan doesn't cover is left to a session: locks, loader options, aliases, writes inside it, models that only a
session can load.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Select
from sqlalchemy.orm import ColumnProperty, InstrumentedAttribute, Session
from sqlalchemy.sql import ColumnElement, visitors

from unitwork.dao.statements.eager import loads_collections
from unitwork.models.soft_delete import INCLUDE_DELETED, without_deleted
from unitwork.rows.instances import InstancePlan, instance_plan
from unitwork.sessions import read_only


class _Part(NamedTuple):
    """One element of a row: the columns of a model, or one value."""

    model: type[Any] | None
    start: int
    stop: int


class RowPlan(NamedTuple):
    """The statement to send, and how its rows are made."""

    statement: Select[Any]
    names: frozenset[str]
    """Names of its parameters."""
    parts: tuple[_Part, ...]

    @property
    def loadable(self) -> bool:
        """True if the rows of each model can be made without a session's loading."""
        return all(part.model is None or instance_plan(part.model) is not None for part in self.parts)

    def rows(self, found: Sequence[Sequence[Any]], session: Session | None) -> list[Any]:
        """Return the rows as a session gives them."""
        columns = []
        for part in self.parts:
            plan: InstancePlan | None = None if part.model is None else instance_plan(part.model)
            if plan is None:
                columns.append([row[part.start] for row in found])
            else:
                columns.append(plan.joined([row[part.start : part.stop] for row in found], session))
        return list(zip(*columns, strict=True))


_plans: Final[WeakKeyDictionary[Select[Any], RowPlan | None]] = WeakKeyDictionary()


def row_plan(statement: Select[Any]) -> RowPlan | None:
    """Return the plan of a statement, kept as long as the statement; None if only a session can send it."""
    try:
        plan = _plans[statement]
    except KeyError:
        plan = _plans[statement] = _planned(statement)
    return plan if plan is None or plan.loadable else None


def _planned(statement: Any) -> RowPlan | None:
    if statement._for_update_arg is not None or statement._with_options or read_only.writes(statement):  # noqa: SLF001 - they have no public names
        return None
    parts: list[_Part] = []
    columns: list[Any] = []
    for described in statement.column_descriptions:
        model, expression = described["entity"], described["expr"]
        if model is not None and expression is model:
            plan = None if described["aliased"] else instance_plan(model)
            if plan is None:
                return None
            parts.append(_Part(model, len(columns), len(columns) + len(plan.keys)))
            columns += [getattr(model, key) for key in plan.keys]
        elif _is_value(expression):
            parts.append(_Part(None, len(columns), len(columns) + 1))
            columns.append(expression)
        else:
            return None
    kept = without_deleted(statement, {}, {})
    if kept is not statement and any(part.model is not None for part in parts):
        return None  # its models would carry the option that leaves out deleted rows
    names = frozenset(
        part.key for part in visitors.iterate(statement) if isinstance(part, BindParameter) and not part.unique
    )
    sent = kept.with_only_columns(*columns).execution_options(**{INCLUDE_DELETED: True})
    return RowPlan(sent, names, tuple(parts))


def _is_value(expression: Any) -> bool:
    if isinstance(expression, InstrumentedAttribute):
        return isinstance(expression.property, ColumnProperty)
    return isinstance(expression, ColumnElement)


def repeats_models(statement: Select[Any]) -> bool:
    """True if a session's loading joins collections, so that a row appears several times."""
    models = [one["entity"] for one in statement.column_descriptions if one["expr"] is one["entity"]]
    return any(isinstance(model, type) and loads_collections(model) for model in models)
