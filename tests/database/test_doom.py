"""What dooms a transaction, and what doesn't; alike on every database."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import User
from tests.database.tables import stored, write
from unitwork import Outcome, Propagation, TransactionProvider
from unitwork.errors import NotFound, StaleVersion, TransactionIsOurs, TransactionRolledBack, UniqueViolation
from unitwork.models import SYSTEM, acting_as

Step = Callable[[AsyncSession], Awaitable[object]]


async def duplicate(session: AsyncSession) -> None:
    await write(session, "twice")
    with pytest.raises(UniqueViolation):
        await write(session, "twice")


async def failed_flush(session: AsyncSession) -> None:
    with acting_as(SYSTEM):
        session.add_all([User.create({"email": "same@example.com"}), User.create({"email": "SAME@example.com"})])
        with pytest.raises(UniqueViolation):
            await session.flush()


async def stale_flush(session: AsyncSession) -> None:
    with acting_as(SYSTEM):
        user = User.create({"email": "stale@example.com"})
        session.add(user)
        await session.flush()
        await session.execute(text("UPDATE users SET version = 7"))
        user.display_name = "Somebody"
        with pytest.raises(StaleVersion):
            await session.flush()


async def broken_statement(session: AsyncSession) -> None:
    with pytest.raises(Exception, match="nowhere"):
        await session.execute(text("SELECT * FROM nowhere"))


@pytest.mark.parametrize("step", [duplicate, failed_flush, stale_flush, broken_statement])
async def test_an_error_from_the_database_dooms_it_even_when_caught(with_tables: Container, step: Step) -> None:
    with pytest.raises(TransactionRolledBack) as caught:
        async with with_tables.transaction()() as tx:
            await step(tx.session)
    assert caught.value.__cause__ is not None
    assert tx.outcome is Outcome.ROLLED_BACK
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("step", [duplicate, failed_flush, stale_flush, broken_statement])
async def test_caught_inside_a_nested_block_it_dooms_that_block_alone(
    transaction: TransactionProvider, with_tables: Container, step: Step
) -> None:
    async with transaction() as tx:
        await write(tx.session, "outer")
        with pytest.raises(TransactionRolledBack):
            async with transaction(Propagation.NESTED) as nested:
                await step(nested.session)
        await write(tx.session, "after")
    assert tx.outcome is Outcome.COMMITTED
    assert await stored(with_tables) == {"outer", "after"}


@pytest.mark.parametrize("step", [duplicate, broken_statement])
async def test_caught_inside_a_bare_savepoint_it_dooms_everything_on_every_database(
    transaction: TransactionProvider, with_tables: Container, step: Step
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            await write(tx.session, "outer")
            with pytest.raises(TransactionRolledBack):
                async with tx.session.begin_nested():
                    await step(tx.session)
    assert await stored(with_tables) == set()


async def test_raised_out_of_a_bare_savepoint_it_dooms_nothing(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        await write(tx.session, "outer")
        with pytest.raises(UniqueViolation):
            async with tx.session.begin_nested():
                await write(tx.session, "outer")
    assert await stored(with_tables) == {"outer"}


async def test_a_bare_savepoint_is_told_from_the_one_inside_it_that_was_rolled_back(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        await write(tx.session, "outer")
        with pytest.raises(UniqueViolation):
            async with tx.session.begin_nested():
                with pytest.raises(ZeroDivisionError):
                    async with tx.session.begin_nested():
                        _ = 1 / 0
                await write(tx.session, "outer")
    assert await stored(with_tables) == {"outer"}


async def test_an_exception_that_leaves_a_joined_transaction_dooms_it(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    error = LookupError("first")
    with pytest.raises(TransactionRolledBack) as caught:
        async with transaction() as tx:
            await write(tx.session, "lost")
            with pytest.raises(LookupError):
                async with transaction():
                    raise error
    cause = caught.value.__cause__
    assert isinstance(cause, LookupError)
    assert cause.args == ("first",)
    assert cause.__traceback__ is None  # which would keep its frames
    assert [note.partition(":")[0] for note in cause.__notes__] == ["raised at tests/database/test_doom.py"]


async def test_an_exception_that_passes_a_joined_session_provider_or_dao_dooms_nothing(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    async with transaction() as tx:
        await write(tx.session, "kept")
        with pytest.raises(LookupError):
            async with with_tables.session_provider()():
                raise LookupError
        with pytest.raises(NotFound):
            await with_tables.user_dao().get(404)
    assert await stored(with_tables) == {"kept"}


async def test_set_rollback_only_is_told_when_the_block_ends_normally(
    transaction: TransactionProvider, with_tables: Container
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            await write(tx.session, "lost")
            tx.set_rollback_only()
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("way", ["session transaction", "connection"])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_an_end_made_behind_the_blocks_back_dooms_it(
    transaction: TransactionProvider, with_tables: Container, way: str, end: str
) -> None:
    with pytest.raises(TransactionRolledBack):
        async with transaction() as tx:
            await write(tx.session, "lost")
            if way == "connection":
                target: object = await tx.session.connection()
            else:
                target = tx.session.get_transaction()
            if end == "commit":
                with pytest.raises(TransactionIsOurs):
                    await getattr(target, end)()
            else:
                await getattr(target, end)()
    assert await stored(with_tables) == set()


@pytest.mark.parametrize("method", ["commit", "rollback", "close", "begin"])
async def test_the_sessions_own_ends_are_refused_and_name_what_to_use(
    transaction: TransactionProvider, with_tables: Container, method: str
) -> None:
    async with transaction() as tx:
        await write(tx.session, "kept")
        with pytest.raises(TransactionIsOurs, match=method):
            answer = getattr(tx.session, method)()
            await answer
        with pytest.raises(TransactionIsOurs):
            await tx.session.run_sync(lambda session: getattr(session, method)())
    assert await stored(with_tables) == {"kept"}
