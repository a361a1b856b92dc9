"""Work inside transactions, keys that the database makes, and the service's own calls, beside asyncpg by hand.

Each kind is measured with the same statements by hand, over the driver's own pool and over one connection that is held
all the time, in turn and in the same process. CPU counts: waiting for the database costs none.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from statistics import median
from typing import Any, Final

import asyncpg
from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.in_turn import SLICES, Cost, in_turn, ratio
from benchmarks.made_keys import ADD_LEAF, ADD_NOTE, CHANGE_NOTE, NOTE, NOTES, Leaf, Note, NoteBase
from benchmarks.results import Section
from benchmarks.service_calls import of_accounts
from containers import Container, running
from settings import Settings
from unitwork.dao import BaseDao
from unitwork.models import SYSTEM, acting_as

ROWS: Final = 10_000
SIZE: Final = 50
ID: Final = 77
POOL, HELD, OURS = "by hand, its pool", "by hand, a held connection", "ours"

Acquire = Callable[[], AbstractAsyncContextManager[Any]]
Kinds = Mapping[str, tuple[Callable[[Acquire], Awaitable[Any]], Callable[[], Awaitable[Any]]]]
"""The same work by hand, over a connection that it is to acquire, and by the library."""


async def measure(url: URL, effort: Effort) -> Section:
    """Each kind of work by hand, in both ways, and by the library."""
    plain = url.render_as_string(hide_password=False)
    pool: Any = await asyncpg.create_pool(plain, min_size=1, max_size=1)
    held: Any = await asyncpg.connect(plain)
    settings = Settings.model_validate({"database": {"url": plain, "pool_size": 1}, "node_id": 1})
    try:
        async with running(Container(settings=settings)) as container:
            await container.schema().upgrade()
            async with container.engine().begin() as connection:
                await connection.run_sync(NoteBase.metadata.create_all)
            with acting_as(SYSTEM):
                await pool.executemany(ADD_NOTE, [(f"Note {number}", None) for number in range(ROWS)])
                kinds = {**_reads(container), **_changes(container), **await of_accounts(container)}
                costs = await in_turn(_sides(kinds, pool, held), effort)
            async with container.engine().begin() as connection:
                await connection.run_sync(NoteBase.metadata.drop_all)
            await container.schema().downgrade("base")
    finally:
        await held.close()
        await pool.close()
    return Section(
        "Inside transactions, and the service's own calls",
        "The same work by hand with asyncpg and by the library, one at a time, on one connection each, in turn; "
        f"medians of {effort.rounds * SLICES} slices. By hand it is the same statements, "
        "over `pool.acquire()`, whose reset is a trip of its own, and over a held connection.",
        ["work", f"{POOL}, CPU µs", f"{HELD}, CPU µs", f"{OURS}, CPU µs", "× pool", "× held"],
        [_row(name, *(costs[f"{name} {side}"] for side in (POOL, HELD, OURS))) for name in kinds],
        ["× is the median of the ratios of CPU of slices that ran next to each other."],
    )


def _sides(kinds: Kinds, pool: Any, held: Any) -> dict[str, Callable[[], Awaitable[None]]]:
    works: dict[str, Callable[[], Awaitable[None]]] = {}
    for name, (by_hand, ours) in kinds.items():
        works[f"{name} {POOL}"] = partial(by_hand, pool.acquire)
        works[f"{name} {HELD}"] = partial(by_hand, lambda: nullcontext(held))
        works[f"{name} {OURS}"] = ours
    return works


def _row(name: str, pool: Cost, held: Cost, ours: Cost) -> list[str]:
    cpu = [f"{median(cost.cpu) * 1e6:.0f}" for cost in (pool, held, ours)]
    return [name, *cpu, *(f"{ratio(ours.cpu, hand.cpu):.2f}" for hand in (pool, held))]


def _reads(container: Container) -> Kinds:
    transaction, notes = container.transaction(), BaseDao[Note](container.session_provider(), Note)

    async def get_by_hand(acquire: Acquire) -> None:
        async with acquire() as connection:
            await connection.fetchrow(NOTE, ID)

    async def get() -> None:
        await notes.get(ID)

    async def get_inside_by_hand(acquire: Acquire) -> None:
        async with acquire() as connection, connection.transaction(readonly=True):
            await connection.fetchrow(NOTE, ID)

    async def get_inside() -> None:
        async with transaction(read_only=True):
            await notes.get(ID)

    async def page_by_hand(acquire: Acquire) -> None:
        async with acquire() as connection, connection.transaction(readonly=True):
            await connection.fetch(NOTES, SIZE, SIZE)

    async def page() -> None:
        async with transaction(read_only=True):
            await notes.query().page(2, SIZE)

    return {
        "get, outside a transaction": (get_by_hand, get),
        "get in a read-only transaction": (get_inside_by_hand, get_inside),
        f"a page of {SIZE} with its total in a read-only transaction": (page_by_hand, page),
    }


def _changes(container: Container) -> Kinds:
    transaction, sessions = container.transaction(), container.session_provider()
    notes, leaves = BaseDao[Note](sessions, Note), BaseDao[Leaf](sessions, Leaf)
    numbers = itertools.count()

    async def two_by_hand(statement: str, acquire: Acquire) -> None:
        async with acquire() as connection, connection.transaction():
            await connection.fetchrow(statement, "One", None)
            await connection.fetchrow(statement, "Two", None)

    async def two_notes() -> None:
        async with transaction():
            await notes.add(Note(title="One"))
            await notes.add(Note(title="Two"))

    async def two_leaves() -> None:
        async with transaction():
            await leaves.add(Leaf(title="One"))
            await leaves.add(Leaf(title="Two"))

    async def change_by_hand(acquire: Acquire) -> None:
        async with acquire() as connection, connection.transaction():
            await connection.fetchrow(NOTE, ID)
            await connection.execute(CHANGE_NOTE, f"Title {next(numbers)}", ID)

    async def change() -> None:
        async with transaction():
            (await notes.get(ID)).title = f"Title {next(numbers)}"

    async def nothing_by_hand(acquire: Acquire) -> None:
        async with acquire():
            pass

    async def empty_transaction() -> None:
        async with transaction():
            pass

    async def empty_session() -> None:
        async with sessions():
            pass

    return {
        "two rows, keys by identity": (partial(two_by_hand, ADD_NOTE), two_notes),
        "two rows, keys by gen_random_uuid()": (partial(two_by_hand, ADD_LEAF), two_leaves),
        "load, change, flush": (change_by_hand, change),
        "an empty transaction": (nothing_by_hand, empty_transaction),
        "an empty session": (nothing_by_hand, empty_session),
    }
