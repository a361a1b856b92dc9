"""IsolatedSessionProvider: a container's session provider in an isolated test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.call_site import calling_site
from unitwork.testing.errors import NeedsOwnDatabase
from unitwork.testing.isolation.pool import IsolatedPool
from unitwork.transactions.block_options import BlockOptions
from unitwork.transactions.session_provider import EngineSessionProvider
from unitwork.transactions.transaction import Transaction, ambient
from unitwork.unit import Unit


class IsolatedSessionProvider(EngineSessionProvider):
    """Units that aren't nested take turns on the one connection. Anything else that needs a second connection, or
    another isolation level, raises `NeedsOwnDatabase` on entry.
    """

    @asynccontextmanager
    async def unit(self, options: BlockOptions) -> AsyncIterator[Transaction]:
        engine = self.owner()
        if isinstance(engine.pool, IsolatedPool):
            if options.isolation is not None:
                raise NeedsOwnDatabase(f"isolation {options.isolation} was asked for", calling_site())
            refuse_second_unit(engine)
        async with super().unit(options) as transaction:
            yield transaction

    def refuse_second_writer(self, *, own_task_only: bool) -> None:
        """Skip the check on an isolated pool, where `unit` refuses every second unit."""
        if not isinstance(self.owner().pool, IsolatedPool):
            super().refuse_second_writer(own_task_only=own_task_only)


def refuse_second_unit(engine: AsyncEngine, *, instead: str = "") -> None:
    """Raise `NeedsOwnDatabase` if a unit of this engine is open, in any task."""
    unit = _open_unit(engine)
    if unit is not None:
        what = f"a unit was begun inside the one opened at {unit.call_site}"
        raise NeedsOwnDatabase(what, calling_site(), instead=instead)


def _open_unit(engine: AsyncEngine) -> Unit | None:
    block = ambient.get()
    while block is not None and (block.owner is not engine or block.unit.over):
        block = block.outer
    return None if block is None else block.unit
