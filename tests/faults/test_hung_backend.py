"""A backend that hangs: whoever waits for it gets control back in time, and its place in the pool is free again."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from settings import Settings
from tests.faults.leaks import in_use
from tests.faults.ledger import create_ledger, write_part
from tests.faults.percentiles import percentile, percentiles
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.waiting import until
from unitwork import Outcome, Transaction
from unitwork.errors import CommitOutcomeUnknown, TransactionTimeout

BUDGET: Final = 1.0
GRACE: Final = 0.6
SLOT: Final = 3.0
PATIENCE: Final = 8.0
"""Seconds after which the backend is thawed: there was no bound at all."""

Bounded = Callable[[Container], AbstractAsyncContextManager[Transaction]]


@asynccontextmanager
async def bounded_by_the_caller(container: Container) -> AsyncIterator[Transaction]:
    async with asyncio.timeout(BUDGET), container.transaction()() as transaction:
        yield transaction


def bounded_by_the_block(container: Container) -> AbstractAsyncContextManager[Transaction]:
    return container.transaction()(timeout=BUDGET)


both_bounds = pytest.mark.parametrize("bounded", [bounded_by_the_caller, bounded_by_the_block])


@pytest.fixture
async def container(private_settings: Callable[..., Settings]) -> AsyncIterator[Container]:
    entered = running(Container(settings=private_settings(pool_size=2, max_overflow=0)))
    container = await entered.__aenter__()
    await create_ledger(container)
    yield container
    # A leak has its own verdict in each test; here it must not hang the others.
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await entered.__aexit__(None, None, None)


async def pid_of(session: AsyncSession) -> int:
    return int((await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def timed(server: PrivatePostgresql, work: Awaitable[Any]) -> BaseException | None:
    """What the work raised. Fails unless it gave control back within the budget and the grace."""
    begun = time.perf_counter()
    task = asyncio.ensure_future(work)
    await asyncio.wait((task,), timeout=PATIENCE)
    took = time.perf_counter() - begun
    hung = not task.done()
    if hung:
        server.thaw_all()
        await asyncio.wait((task,), timeout=PATIENCE)
    error = asyncio.CancelledError() if not task.done() or task.cancelled() else task.exception()
    # What is left of a cut greenlet must not be found while pytest parses sources (gh-106905).
    gc.collect()
    assert not hung, f"no control back within {PATIENCE:g} s"
    print(f"control back after {took:.2f} s")
    assert took <= BUDGET + GRACE
    return error


async def slot_free(container: Container) -> None:
    free = await until(lambda: not in_use(container.engine()), within=SLOT)
    assert free, "the place in the pool is still taken"


@both_bounds
async def test_a_hang_in_a_statement(
    private_postgresql: PrivatePostgresql, container: Container, bounded: Bounded
) -> None:
    seen: list[Transaction] = []

    async def unit() -> None:
        async with bounded(container) as transaction:
            seen.append(transaction)
            private_postgresql.freeze(await pid_of(transaction.session))
            await write_part(transaction.session, "statement", 1)

    error = await timed(private_postgresql, unit())
    assert isinstance(error, TimeoutError | TransactionTimeout)
    assert seen[0].outcome is Outcome.ROLLED_BACK
    await slot_free(container)


@both_bounds
async def test_a_hang_in_commit_has_an_unknown_outcome(
    private_postgresql: PrivatePostgresql, container: Container, bounded: Bounded
) -> None:
    seen: list[Transaction] = []
    hooks: list[str] = []

    async def unit() -> None:
        async with bounded(container) as transaction:
            seen.append(transaction)
            transaction.after_commit(lambda: hooks.append("committed"))
            transaction.after_rollback(lambda: hooks.append("rolled back"))
            await write_part(transaction.session, "commit", 1)
            private_postgresql.freeze(await pid_of(transaction.session))

    error = await timed(private_postgresql, unit())
    assert isinstance(error, TimeoutError | CommitOutcomeUnknown)
    assert seen[0].outcome is Outcome.UNKNOWN
    assert hooks == []
    await slot_free(container)


@both_bounds
async def test_a_hang_in_rollback(
    private_postgresql: PrivatePostgresql, container: Container, bounded: Bounded
) -> None:
    seen: list[Transaction] = []

    async def unit() -> None:
        async with bounded(container) as transaction:
            seen.append(transaction)
            await write_part(transaction.session, "rollback", 1)
            private_postgresql.freeze(await pid_of(transaction.session))
            raise LookupError

    error = await timed(private_postgresql, unit())
    assert isinstance(error, LookupError | TimeoutError | TransactionTimeout)
    assert seen[0].outcome is Outcome.ROLLED_BACK
    await slot_free(container)


@both_bounds
async def test_a_hang_in_the_ping(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], bounded: Bounded
) -> None:
    entered = running(Container(settings=private_settings(pool_size=1, max_overflow=0, ping_after_idle=0.0)))
    container = await entered.__aenter__()
    await create_ledger(container)
    async with container.session_provider()() as session:
        pid = await pid_of(session)

    async def unit() -> None:
        async with bounded(container) as transaction:
            await write_part(transaction.session, "ping", 1)

    with private_postgresql.frozen(pid):
        error = await timed(private_postgresql, unit())
        assert error is None or isinstance(error, TimeoutError | TransactionTimeout)
        await slot_free(container)
    await entered.__aexit__(None, None, None)


@both_bounds
async def test_a_hang_in_connect(private_postgresql: PrivatePostgresql, container: Container, bounded: Bounded) -> None:
    async def unit() -> None:
        async with bounded(container) as transaction:
            await write_part(transaction.session, "connect", 1)

    with private_postgresql.frozen(private_postgresql.postmaster):
        error = await timed(private_postgresql, unit())
        assert isinstance(error, TimeoutError | TransactionTimeout)
        await slot_free(container)


async def test_a_hang_in_dispose(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings]
) -> None:
    entered = running(Container(settings=private_settings()))
    container = await entered.__aenter__()
    async with container.session_provider()() as session:
        pid = await pid_of(session)

    async def leave() -> None:
        async with asyncio.timeout(BUDGET):
            await entered.__aexit__(None, None, None)

    with private_postgresql.frozen(pid):
        await timed(private_postgresql, leave())


async def test_the_neighbours_of_a_hung_backend_go_on(
    private_postgresql: PrivatePostgresql, container: Container
) -> None:
    async def hung() -> None:
        async with bounded_by_the_caller(container) as transaction:
            private_postgresql.freeze(await pid_of(transaction.session))
            await write_part(transaction.session, "hung", 1)

    task = asyncio.create_task(timed(private_postgresql, hung()))
    neighbours = []
    while not task.done():
        begun = time.perf_counter()
        async with container.session_provider()() as session:
            await session.execute(text("SELECT 1"))
        neighbours.append(time.perf_counter() - begun)
        await asyncio.sleep(0.01)
    await task
    print(f"a neighbour took {percentiles(neighbours)}")
    assert percentile(neighbours, 50) < BUDGET / 10, "one that waits for the hung backend waits for its budget"
