"""plan_anew: make PostgreSQL plan a transaction's statements for the tables as they are now."""

from typing import Final

from sqlalchemy import Dialect, text
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.backends.registry import backend_of
from unitwork.unit import UNIT

_PLAN_ANEW: Final = text("SET LOCAL plan_cache_mode = force_custom_plan")


async def plan_anew(session: AsyncSession, dialect: Dialect) -> None:
    """Disable PostgreSQL's cached plans until the transaction ends; no effect on other databases.

    PostgreSQL keeps a prepared statement's plan until statistics are updated, which may be long after a small table has
    grown. For a batch of many values, planning each statement costs little.
    """
    options = session.sync_session.execution_options
    if backend_of(dialect).plans_anew and UNIT in options and options[UNIT].transactional:
        await session.execute(_PLAN_ANEW)
