"""Work: the kinds of unit that are cancelled, each telling afterwards what it was told.

`WRITES` is a transaction of two statements, `FLUSHES` a session provider's block that flushes two mapped rows, `MANY`
a transaction with so many rows in one statement that the driver lets others run half-way, `ADDS` a transaction in which
a DAO adds two rows, `READS` a lone read in AUTOCOMMIT.
"""

import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from containers import Container
from tests.faults.ledger import Entry, write_filling, write_part
from unitwork import Outcome, Transaction
from unitwork.dao import BaseDao


@dataclass
class Told:
    """What one unit was told: its transaction, once there was one, and its hooks."""

    unit: str
    transaction: Transaction | None = None
    committed_hooks: int = 0
    rolled_back_hooks: int = 0
    began: bool = False
    _outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        return self._outcome if self.transaction is None else self.transaction.outcome

    def entered(self, transaction: Transaction) -> None:
        self.transaction, self.began = transaction, True
        transaction.after_commit(self._committed)
        transaction.after_rollback(self._rolled_back)

    def ended(self) -> None:
        """Keep what it was told, and let go of the transaction: through it each of thousands of tasks, with its frames,
        would stay, for the garbage collector to walk through.
        """
        self._outcome, self.transaction = self.outcome, None

    def wrong(self, parts: int, *, writes: bool) -> str | None:
        """What is wrong, with so many rows stored: half a unit, an outcome that isn't the table's, a hook too many or
        too few. None when all is right.
        """
        committed = self.outcome is Outcome.COMMITTED
        if parts not in {0, 2}:
            return f"{self.unit}: half of it is stored ({parts} rows), outcome {self.outcome}"
        if writes and committed is not (parts == 2):
            return f"{self.unit}: outcome {self.outcome}, and {parts} rows are stored"
        if self.began and self.outcome not in {Outcome.COMMITTED, Outcome.ROLLED_BACK}:
            return f"{self.unit}: outcome {self.outcome}"
        if (self.committed_hooks, self.rolled_back_hooks) != (
            int(committed),
            int(self.began and not committed),
        ):
            hooks = f"{self.committed_hooks} commit and {self.rolled_back_hooks} rollback hooks"
            return f"{self.unit}: outcome {self.outcome}, and {hooks} ran"
        return None

    def _committed(self) -> None:
        self.committed_hooks += 1

    def _rolled_back(self) -> None:
        self.rolled_back_hooks += 1


@dataclass(frozen=True)
class Work:
    """A kind of unit."""

    name: str
    run: Callable[[Container, Told], Coroutine[Any, Any, None]]
    writes: bool = True

    def __str__(self) -> str:
        return self.name


async def _writes(container: Container, told: Told) -> None:
    async with container.transaction()() as transaction:
        told.entered(transaction)
        await write_part(transaction.session, told.unit, 1)
        await write_part(transaction.session, told.unit, 2)


async def _flushes(container: Container, told: Told) -> None:
    async with container.session_provider()() as session:
        transaction: Any = session.info["transaction"]
        told.entered(transaction)
        session.add(Entry(told.unit, 1))
        await session.flush()
        session.add(Entry(told.unit, 2))


async def _many(container: Container, told: Told) -> None:
    async with container.transaction()() as transaction:
        told.entered(transaction)
        await write_part(transaction.session, told.unit, 1)
        await write_filling(transaction.session, told.unit, 2)


_IDS: Final = itertools.count(1_000_000_000)
"""Above those that the databases make."""


async def _adds(container: Container, told: Told) -> None:
    entries: BaseDao[Any] = BaseDao(container.session_provider(), Entry)
    async with container.transaction()() as transaction:
        told.entered(transaction)
        for part in (1, 2):
            entry = Entry(told.unit, part)
            entry.id = next(_IDS)  # else the database makes it, and a flush has to ask
            await entries.add(entry)


async def _reads(container: Container, _told: Told) -> None:
    await container.user_dao().get_or_none(1)


WRITES: Final = Work("writes", _writes)
FLUSHES: Final = Work("flushes", _flushes)
MANY: Final = Work("many", _many)
ADDS: Final = Work("adds", _adds)
READS: Final = Work("reads", _reads, writes=False)
EVERY_WORK: Final = (WRITES, FLUSHES, ADDS, MANY, READS)
