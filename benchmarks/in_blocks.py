"""Work inside transactions, keys that the database makes, and the service's own calls, beside asyncpg by hand.

Each kind is measured with the same statements by hand, over the driver's own pool and over one connection that is held
all the time, and with SQLAlchemy's plain session, in turn and in the same process. CPU counts: waiting for the database
costs none.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from statistics import median
from typing import Any, Final, NamedTuple

import asyncpg
from sqlalchemy import URL, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

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
POOL, HELD, SESSION, OURS = "by hand, its pool", "by hand, a held connection", "`async with maker()`", "ours"

Acquire = Callable[[], AbstractAsyncContextManager[Any]]
ByHand = Callable[[Acquire], Awaitable[Any]]
Work = Callable[[], Awaitable[Any]]
Maker = async_sessionmaker[AsyncSession]


class Kind(NamedTuple):
    """The same work by hand, over a connection that it is to acquire, by the library, and by a plain session."""

    by_hand: ByHand
    ours: Work
    plain: Work | None = None


Kinds = Mapping[str, Kind]


async def measure(url: URL, effort: Effort) -> Section:
    """Each kind of work by hand, in both ways, and by the library."""
    plain = url.render_as_string(hide_password=False)
    pool: Any = await asyncpg.create_pool(plain, min_size=1, max_size=1)
    held: Any = await asyncpg.connect(plain)
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_size=1, pool_use_lifo=True)
    maker = async_sessionmaker(engine, expire_on_commit=False)
    settings = Settings.model_validate({"database": {"url": plain, "pool_size": 1}, "node_id": 1})
    try:
        async with running(Container(settings=settings)) as container:
            await container.schema().upgrade()
            async with container.engine().begin() as connection:
                await connection.run_sync(NoteBase.metadata.create_all)
            with acting_as(SYSTEM):
                await pool.executemany(ADD_NOTE, [(f"Note {number}", None) for number in range(ROWS)])
                calls = {name: Kind(*both) for name, both in (await of_accounts(container)).items()}
                kinds = {**_reads(container, maker), **_changes(container, maker), **calls}
                costs = await in_turn(_sides(kinds, pool, held), effort)
            async with container.engine().begin() as connection:
                await connection.run_sync(NoteBase.metadata.drop_all)
            await container.schema().downgrade("base")
    finally:
        await engine.dispose()
        await held.close()
        await pool.close()
    return Section(
        "Inside transactions, and the service's own calls",
        "The same work by hand with asyncpg and by the library, one at a time, on one connection each, in turn; "
        f"medians of {effort.rounds * SLICES} slices. By hand it is the same statements, "
        "over `pool.acquire()`, whose reset is a trip of its own, and over a held connection.",
        ["work", f"{OURS}, CPU µs", *(f"× {side}" for side in (POOL, HELD, SESSION))],
        [_row(name, *(costs.get(f"{name} {side}") for side in (OURS, POOL, HELD, SESSION))) for name in kinds],
        ["× is the median of the ratios of CPU of slices that ran next to each other."],
    )


def _sides(kinds: Kinds, pool: Any, held: Any) -> dict[str, Work]:
    works: dict[str, Work] = {}
    for name, kind in kinds.items():
        works[f"{name} {POOL}"] = partial(kind.by_hand, pool.acquire)
        works[f"{name} {HELD}"] = partial(kind.by_hand, lambda: nullcontext(held))
        works[f"{name} {OURS}"] = kind.ours
        if kind.plain is not None:
            works[f"{name} {SESSION}"] = kind.plain
    return works


def _row(name: str, ours: Cost | None, *others: Cost | None) -> list[str]:
    cpu = [] if ours is None else ours.cpu
    ratios = ("" if other is None else f"{ratio(cpu, other.cpu):.2f}" for other in others)
    return [name, f"{median(cpu) * 1e6:.0f}", *ratios]


def _reads(container: Container, maker: Maker) -> Kinds:
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

    async def plain_get() -> None:
        async with maker() as session:
            await session.scalar(select(Note).where(Note.id == ID))

    async def plain_page() -> None:
        async with maker() as session:
            await session.scalars(select(Note).order_by(Note.id).limit(SIZE).offset(SIZE))
            await session.scalar(select(func.count()).select_from(Note))

    return {
        "get, outside a transaction": Kind(get_by_hand, get, plain_get),
        "get in a read-only transaction": Kind(get_inside_by_hand, get_inside, plain_get),
        f"a page of {SIZE} with its total in a read-only transaction": Kind(page_by_hand, page, plain_page),
    }


def _changes(container: Container, maker: Maker) -> Kinds:
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

    async def plain_two(model: type[Note] | type[Leaf]) -> None:
        async with maker() as session:
            for title in ("One", "Two"):
                session.add(model(title=title))
                await session.flush()
            await session.commit()

    async def plain_change() -> None:
        async with maker() as session:
            (await session.get_one(Note, ID)).title = f"Title {next(numbers)}"
            await session.commit()

    async def plain_nothing() -> None:
        async with maker():
            pass

    return {
        "two rows, keys by identity": Kind(partial(two_by_hand, ADD_NOTE), two_notes, partial(plain_two, Note)),
        "two rows, keys by gen_random_uuid()": Kind(
            partial(two_by_hand, ADD_LEAF), two_leaves, partial(plain_two, Leaf)
        ),
        "load, change, flush": Kind(change_by_hand, change, plain_change),
        "an empty transaction": Kind(nothing_by_hand, empty_transaction, plain_nothing),
        "an empty session": Kind(nothing_by_hand, empty_session, plain_nothing),
    }
