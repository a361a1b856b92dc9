"""One row: a new model stored by one INSERT, as a flush would store it, in a third of a flush's time.

A unit of work that sorts what depends on what has nothing to do for one row of one table. What needs it (relationships,
expressions, values that the database makes, others who listen) is left to a flush.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Insert, Table, insert, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Mapper, Session

from database.inside_statement import inside
from database.recording import entry_of
from database.session_provider import EngineSessionProvider
from repositories.instances import instance_plan
from repositories.new_rows import NewRows, has_expression

LISTENED: Final = ("before_flush", "after_flush_postexec", "pending_to_persistent")
"""Events of a session that a flush would send."""


async def store_one(provider: EngineSessionProvider, session: AsyncSession, row: Any) -> bool:
    """Whether it is stored, and the session holds it; else nothing has happened, and a flush can store it. Raises the
    `ConstraintViolation` it breaks.
    """
    sync, model = session.sync_session, type(row)
    statements = inside(provider.factory, provider.owner(), session)
    state: InstanceState[Any] = inspect(row)
    if statements is None or not _alone(state, sync) or instance_plan(model) is None:
        return False
    rows = NewRows(model, sync.execution_options)
    values = rows.of_model(state.dict) if rows.simple else None
    if values is None or has_expression(values):
        return False
    counted, first = _version(state.mapper)
    if counted is not None:
        values[counted] = first
    await statements.send(_insert(rows.table), values)
    for key, name in rows.attributes.items():
        state.dict[name] = values[key]
    hold(sync, [row])
    entry = entry_of(session, row)
    if entry is not None:
        told, given = entry
        rows = NewRows(told, sync.execution_options)
        await statements.send(_insert(rows.table), rows.of(given))
    return True


def _alone(state: InstanceState[Any], session: Session) -> bool:
    """Whether the row is new, belongs to nothing else, and nobody listens."""
    mapper: Mapper[Any] = state.mapper
    return (
        state.key is None
        and state.session is None
        and mapper.version_id_generator is not False  # the database counts
        and _related(mapper).isdisjoint(state.dict)
        and not any(len(getattr(session.dispatch, event)) for event in LISTENED)
        and len(session.dispatch.after_flush) == 1  # ours
        and not (mapper.dispatch.before_insert or mapper.dispatch.after_insert)
    )


def hold(session: Session, models: Sequence[Any]) -> None:
    """Have the session hold the models as rows that it has stored, to be forgotten when that is rolled back. It is how
    SQLAlchemy's own flush ends, which has no public name (`test_models_stored_by_copy_…` pin it).
    """
    session.add_all(models)
    session._register_persistent({inspect(model) for model in models})  # noqa: SLF001 - see the docstring


@cache
def _version(mapper: Mapper[Any]) -> tuple[str | None, Any]:
    """The column of the version, and what it begins with."""
    column, count = mapper.version_id_col, mapper.version_id_generator
    return (None, None) if column is None or not callable(count) else (str(column.key), count(None))


@cache
def _related(mapper: Mapper[Any]) -> frozenset[str]:
    return frozenset(mapper.relationships.keys())


@cache
def _insert(table: Table) -> Insert:
    return insert(table)
