"""plan_anew: statements of a transaction planned for the tables as they are."""

from typing import Final

from sqlalchemy import Dialect, text
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.backends.registry import backend_of
from unitwork.unit import UNIT

_PLAN_ANEW: Final = text("SET LOCAL plan_cache_mode = force_custom_plan")


async def plan_anew(session: AsyncSession, dialect: Dialect) -> None:
    """Until the transaction's end have PostgreSQL plan each statement when it is sent; nothing elsewhere.

    It keeps a prepared statement's plan until it has counted the table's rows again, which may be long after a table
    that was small has grown. A batch of many values can afford the planning.
    """
    options = session.sync_session.execution_options
    if backend_of(dialect).plans_anew and UNIT in options and options[UNIT].transactional:
        await session.execute(_PLAN_ANEW)
