"""Further forms of abandonment: blocks that are let go of after an error, in a frame that the error's traceback names.

As the forms of `tests.faults.abandonments`. In each a function holds its generator, or its context manager, in a
variable when an error leaves it, or is caught in it; the error is gone afterwards, and so must be the function's frame.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Final

from sqlalchemy import insert, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain import User
from tests.faults.abandonments import Form, LeftBehind, Misuse
from unitwork import Propagation, Retry, execute_transaction
from unitwork.errors import DatabaseError, NotFound, SerializationFailure

SOON: Final = 0.004
"""Seconds after which what shall take too long has."""
NOWHERE: Final = 5
"""An account that there isn't."""
LONG: Final = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(30)",
    "mariadb": "SELECT sleep(30)",
}


async def _refused(session: AsyncSession) -> None:
    await session.execute(text("SELECT no_such_column FROM users"))


async def _slow(session: AsyncSession) -> None:
    async with asyncio.timeout(SOON):
        await session.execute(text(LONG[session.get_bind().dialect.name]))


def _twice(misuse: Misuse) -> list[User]:
    return [User.create({"email": f"inside-{misuse.number}@example.com"}) for _ in range(2)]


Failure = Callable[[Misuse, AsyncSession], Awaitable[object]]


async def refused_statement(_misuse: Misuse, session: AsyncSession) -> None:
    await _refused(session)


async def statement_out_of_time(_misuse: Misuse, session: AsyncSession) -> None:
    await _slow(session)


async def failed_flush(misuse: Misuse, session: AsyncSession) -> None:
    session.add_all(_twice(misuse))
    await session.flush()


async def failed_autoflush(misuse: Misuse, session: AsyncSession) -> None:
    session.add_all(_twice(misuse))
    await session.scalar(select(User.id).limit(1))


async def failed_bulk_insert(misuse: Misuse, session: AsyncSession) -> None:
    await session.execute(insert(User), [{"email": f"inside-{misuse.number}@example.com"}] * 2)


async def legacy_bulk_save(misuse: Misuse, session: AsyncSession) -> None:
    await session.run_sync(lambda inside: inside.bulk_save_objects(_twice(misuse)))


async def stale_version(misuse: Misuse, session: AsyncSession) -> None:
    user = await session.get_one(User, misuse.user)
    await session.execute(text("UPDATE users SET version = version + 1"))
    user.display_name = f"inside {misuse.number}"
    await session.flush()


async def error_through_a_joined_block(misuse: Misuse, _session: AsyncSession) -> None:
    async with misuse.container.transaction()():
        raise LookupError


async def not_found_through_a_joined_block(misuse: Misuse, _session: AsyncSession) -> None:
    async with misuse.container.transaction()():
        await misuse.container.user_dao().get(NOWHERE)


async def error_in_a_savepoint(misuse: Misuse, session: AsyncSession) -> None:
    async with misuse.container.transaction()(Propagation.NESTED):
        await _refused(session)


async def error_in_sqlalchemys_savepoint(_misuse: Misuse, session: AsyncSession) -> None:
    async with session.begin_nested():
        await _refused(session)


async def error_in_a_function(_misuse: Misuse, session: AsyncSession) -> None:
    await session.run_sync(lambda inside: inside.execute(text("SELECT no_such_column FROM users")))


async def error_of_the_driver(_misuse: Misuse, session: AsyncSession) -> None:
    connection = await session.connection()
    await connection.exec_driver_sql("SELECT no_such_column FROM users")


async def error_of_a_stream(_misuse: Misuse, session: AsyncSession) -> None:
    async for _ in await session.stream(text("SELECT no_such_column FROM users")):
        pass


async def stream_broken_off(_misuse: Misuse, session: AsyncSession) -> None:
    async for _ in await session.stream(text("SELECT 1 UNION ALL SELECT 2")):
        raise LeftBehind


async def statement_as_text_refused(_misuse: Misuse, session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))
    await session.execute(text("COMMIT"))


async def group_of_errors(_misuse: Misuse, session: AsyncSession) -> None:
    try:
        await _refused(session)
    except DatabaseError as error:
        raise ExceptionGroup("several", [error, LookupError()]) from error


async def cancelled_statement(_misuse: Misuse, session: AsyncSession) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(SOON, task.cancel)
    try:
        await session.execute(text(LONG[session.get_bind().dialect.name]))
    except asyncio.CancelledError:
        task.uncancel()
        raise LeftBehind from None


FAILURES: Final[tuple[Failure, ...]] = (
    refused_statement,
    statement_out_of_time,
    failed_flush,
    failed_autoflush,
    failed_bulk_insert,
    legacy_bulk_save,
    stale_version,
    error_through_a_joined_block,
    not_found_through_a_joined_block,
    error_in_a_savepoint,
    error_in_sqlalchemys_savepoint,
    error_in_a_function,
    error_of_the_driver,
    error_of_a_stream,
    stream_broken_off,
    statement_as_text_refused,
    group_of_errors,
    cancelled_statement,
)
EXPECTED: Final = (DatabaseError, SQLAlchemyError, LookupError, TimeoutError, LeftBehind, NotFound, ExceptionGroup)


def held_in_a_variable(failure: Failure) -> Form:
    """The error leaves a function that holds its generator, and is dropped."""

    async def form(misuse: Misuse) -> None:
        async def work() -> None:
            generator = misuse.transactions()
            await failure(misuse, await anext(generator))

        with suppress(*EXPECTED):
            await work()

    form.__name__ = f"{failure.__name__}_held_in_a_variable"
    return form


def caught_in_the_loop(failure: Failure) -> Form:
    """The error is caught inside the loop, which is then left."""

    async def form(misuse: Misuse) -> None:
        generator = misuse.sessions()
        async for session in generator:
            try:
                await failure(misuse, session)
            except EXPECTED:
                break

    form.__name__ = f"{failure.__name__}_caught_in_the_loop"
    return form


async def manager_in_a_variable(misuse: Misuse) -> None:
    async def work() -> None:
        manager = misuse.container.session_provider()()
        await _refused(await manager.__aenter__())

    with suppress(DatabaseError):
        await work()


async def stack_in_a_variable(misuse: Misuse) -> None:
    async def work() -> None:
        stack = AsyncExitStack()
        await _refused(await stack.enter_async_context(misuse.managed()))

    with suppress(DatabaseError):
        await work()


async def error_in_the_generator_itself(misuse: Misuse) -> None:
    async def sessions() -> AsyncIterator[AsyncSession]:
        async for session in misuse.sessions():
            with suppress(DatabaseError):
                await _refused(session)
            yield session

    async for _session in sessions():
        break


async def without_a_transaction(misuse: Misuse) -> None:
    async def sessions() -> AsyncIterator[AsyncSession]:
        async with misuse.container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            yield tx.session

    async def work() -> None:
        generator = sessions()
        await _refused(await anext(generator))

    with suppress(DatabaseError):
        await work()


async def out_of_the_blocks_own_time(misuse: Misuse) -> None:
    async def sessions() -> AsyncIterator[AsyncSession]:
        async with misuse.container.transaction()(timeout=SOON) as tx:
            yield tx.session

    async def work() -> None:
        generator = sessions()
        session = await anext(generator)
        await session.execute(text(LONG[session.get_bind().dialect.name]))

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is not None


async def task_that_failed(misuse: Misuse) -> None:
    """Its task is done, and keeps the error, and that the generator; the task itself is kept for a while."""

    async def work() -> None:
        generator = misuse.sessions()
        await misuse.inside(await anext(generator))
        raise LeftBehind

    task = asyncio.create_task(work())
    misuse.held.append(task)
    await asyncio.wait([task])
    assert isinstance(task.exception(), LeftBehind)


async def generator_kept_by_its_task_no_more(misuse: Misuse) -> None:
    """The generator is held, but its task has ended: nobody will leave the block in its task."""

    async def work() -> None:
        generator = misuse.transactions()
        misuse.held.append(generator)
        await misuse.inside(await anext(generator))

    await asyncio.create_task(work())


async def manager_kept_by_its_task_no_more(misuse: Misuse) -> None:
    async def work() -> None:
        manager = misuse.container.transaction()()
        misuse.held.append(manager)
        await misuse.inside((await manager.__aenter__()).session)

    await asyncio.create_task(work())


async def in_a_callback_that_is_tried_again(misuse: Misuse) -> None:
    tries = 0

    async def callback(_session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            generator = independent()
            await _slow_lock(await anext(generator))

    async def independent() -> AsyncIterator[AsyncSession]:
        async with misuse.container.transaction()(Propagation.REQUIRES_NEW, read_only=True) as tx:
            yield tx.session

    async def _slow_lock(session: AsyncSession) -> None:
        await misuse.inside(session, write=False)
        raise SerializationFailure("again", sqlstate="40001")

    await execute_transaction(misuse.container.transaction(), callback, retry=Retry(attempts=2, wait_initial=0.001))


FURTHER: Final[dict[str, Form]] = {
    form.__name__: form
    for form in (
        *(held_in_a_variable(failure) for failure in FAILURES),
        *(caught_in_the_loop(failure) for failure in FAILURES),
        manager_in_a_variable,
        stack_in_a_variable,
        error_in_the_generator_itself,
        without_a_transaction,
        out_of_the_blocks_own_time,
        task_that_failed,
        generator_kept_by_its_task_no_more,
        manager_kept_by_its_task_no_more,
        in_a_callback_that_is_tried_again,
    )
}
