"""One row: a new model stored by one INSERT, as a flush would store it, in a third of a flush's time.

A unit of work that sorts what depends on what has nothing to do for one row of one table. What needs it (relationships,
expressions, values that the database makes, others who listen) is left to a flush.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Insert, Table, insert, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import instance_state

from database.inside_statement import inside
from database.recording import entry_of
from database.session_provider import EngineSessionProvider
from database.transaction import Transaction
from repositories.instances import instance_plan
from repositories.new_rows import NewRows, has_expression


async def store_one(provider: EngineSessionProvider, session: AsyncSession, row: Any) -> bool:
    """Whether it is stored, and the session holds it; else nothing has happened, and a flush can store it. Raises the
    `ConstraintViolation` it breaks.
    """
    sync, model = session.sync_session, type(row)
    block: Transaction | None = sync.info.get("transaction")
    if block is None or not isinstance(block.owner, AsyncEngine):
        return False
    statements = inside(provider.factory, block.owner, session)
    state: InstanceState[Any] = instance_state(row)
    if statements is None or not _alone(state, sync) or instance_plan(model) is None:
        return False
    rows = NewRows(model, sync.execution_options)
    attributes = state.dict
    values = rows.of_model(attributes) if rows.simple else None
    if values is None or has_expression(values):
        return False
    counted, first = version_of(state.mapper)
    if counted is not None:
        values[counted] = first
    await statements.send(_insert(rows.table), values)
    for key, name in rows.attributes.items():
        attributes[name] = values[key]
    _hold(sync, state)
    entry = entry_of(session, row)
    if entry is not None:
        told, given = entry
        rows = NewRows(told, sync.execution_options)
        await statements.send(_insert(rows.table), rows.of(given))
    return True


def _alone(state: InstanceState[Any], session: Session) -> bool:
    """Whether the row is new, belongs to nothing else, and nobody listens."""
    mapper: Mapper[Any] = state.mapper
    told: Any = session.dispatch
    return (
        state.key is None
        and state.session is None
        and mapper.version_id_generator is not False  # the database counts
        and _related(mapper).isdisjoint(state.dict)
        and not (told.before_flush or told.after_flush_postexec or told.pending_to_persistent)
        and len(told.after_flush) == 1  # ours
        and not (mapper.dispatch.before_insert or mapper.dispatch.after_insert)
    )


def hold(session: Session, models: Sequence[Any]) -> None:
    """Have the session hold the models as rows that it has stored, to be forgotten when that is rolled back. It is how
    SQLAlchemy's own flush ends, which has no public name (`test_models_stored_by_copy_…` pin it).
    """
    session.add_all(models)
    session._register_persistent({inspect(model) for model in models})  # noqa: SLF001 - see the docstring


def _hold(session: Session, state: InstanceState[Any]) -> None:
    """`hold`, of a row that nothing hangs on."""
    session._save_impl(state)  # noqa: SLF001 - what `add` does with each row it finds
    session._register_persistent({state})  # noqa: SLF001 - as above


@cache
def version_of(mapper: Mapper[Any]) -> tuple[str | None, Any]:
    """The column of the version, and what it begins with."""
    column, count = mapper.version_id_col, mapper.version_id_generator
    return (None, None) if column is None or not callable(count) else (str(column.key), count(None))


@cache
def _related(mapper: Mapper[Any]) -> frozenset[str]:
    return frozenset(mapper.relationships.keys())


@cache
def _insert(table: Table) -> Insert:
    return insert(table)
