"""Store one new model by one INSERT, as a flush would, in a third of a flush's time.

Sorting by dependencies is needless for one row of one table. What the database gives, a key or a default, comes back
with the INSERT, as in a flush. Anything that needs a flush (relationships, expressions, event listeners) is left to it.
"""

from collections.abc import Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, inspect
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import instance_state

from unitwork.rows.instances import instance_plan
from unitwork.rows.new_rows import NewRows, has_expression
from unitwork.sessions.inside_statements import InsideStatements, insert_of
from unitwork.sessions.write_recorder import entry_of

FLUSH_EVENTS: Final = (
    "before_flush",
    "after_flush_postexec",
    "before_attach",
    "after_attach",
    "transient_to_pending",
    "pending_to_persistent",
)
"""Session events around a flush, in which a listener may change what is stored."""


async def store_one(statements: InsideStatements, row: Any) -> bool:
    """Store the model and attach it to the session. True if stored; False if nothing was done and a flush is needed.
    Raises `ConstraintViolation`.
    """
    session, model = statements.session, type(row)
    state: InstanceState[Any] = instance_state(row)
    if not _independent(state, session) or instance_plan(model) is None:
        return False
    rows = NewRows(model, session.execution_options)
    if not rows.simple:
        return False
    attributes = state.dict
    values = rows.of_model(attributes)
    counted, first = first_version(state.mapper)
    if counted is not None:
        values[counted] = first
    made = rows.missing(values)
    if made is None or has_expression(values):
        return False
    answer = await statements.send(insert_of(rows.table, tuple(made)), values)
    if made:
        attributes.update(zip(made.values(), answer.rows[0], strict=True))
    rows.give(attributes, values)
    if counted is not None:
        attributes[rows.attributes[counted]] = first
    _hold(session, state)
    try:
        entry = entry_of(session, row)
    except Exception as error:
        statements.unit.unrecorded(error)
        raise
    if entry is not None:
        await statements.store(*entry)
    return True


def _independent(state: InstanceState[Any], session: Session) -> bool:
    """True if the model is new, belongs to no session, and no listener could change what is stored."""
    mapper: Mapper[Any] = state.mapper
    listeners: Any = session.dispatch
    return (
        state.key is None
        and state.session is None
        and mapper.version_id_generator is not False  # the database counts
        and _related(mapper).isdisjoint(state.dict)
        and not any(getattr(listeners, event) for event in FLUSH_EVENTS)
        and len(listeners.after_flush) == 1  # the only listener is ours
        and past_the_unit_of_work(mapper)
        and not (mapper.dispatch.before_insert or mapper.dispatch.after_insert)
    )


def past_the_unit_of_work(mapper: Mapper[Any]) -> bool:
    """True if a new model's row is determined by its columns and their defaults, without side effects."""
    return _of_columns(mapper) and not mapper.class_manager.dispatch.refresh_flush


@cache
def _of_columns(mapper: Mapper[Any]) -> bool:
    """True if the mapping consists of plain columns only.

    A dataclass has defaults that columns don't show, composites are rebuilt, expressions must be read back.
    """
    columns = [column for attribute in mapper.column_attrs for column in attribute.columns]
    own = {column.table for column in columns if isinstance(column, Column)} == {mapper.local_table}
    return (
        own
        and all(isinstance(column, Column) for column in columns)
        and not mapper.composites
        and not is_dataclass(mapper.class_)
    )


def hold(session: Session, models: Sequence[Any]) -> None:
    """Attach the models to the session as rows it has stored; a rollback removes them.

    It is what SQLAlchemy's own flush does at its end, which has no public name (`test_models_stored_by_copy_…` pin it).
    """
    session.add_all(models)
    session._register_persistent({inspect(model) for model in models})  # noqa: SLF001 - see the docstring


def _hold(session: Session, state: InstanceState[Any]) -> None:
    """Do what `hold` does, for one model without relationships."""
    session._save_impl(state)  # noqa: SLF001 - as `add` does for each row
    session._register_persistent({state})  # noqa: SLF001 - as above


@cache
def first_version(mapper: Mapper[Any]) -> tuple[str | None, Any]:
    """Return the name of the version column and its initial value; None without one."""
    column, count = mapper.version_id_col, mapper.version_id_generator
    return (None, None) if column is None or not callable(count) else (str(column.key), count(None))


@cache
def _related(mapper: Mapper[Any]) -> frozenset[str]:
    return frozenset(mapper.relationships.keys())
