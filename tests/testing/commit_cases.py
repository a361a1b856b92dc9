"""What commits, what rolls back, and which hooks run: cases of test_both_modes.py."""

import contextlib
from typing import Any

from containers import Container
from tests.testing.cases import Table, error_of
from tests.testing.tables import marks, notes, replies, replies_stored, stored, write
from unitwork import Propagation, Transaction
from unitwork.errors import DatabaseError

table = Table()


@table.case(["in the block", "one, seeing ['a']", "two"])
async def hooks_run_in_order_after_the_commit(container: Container) -> Any:
    told: list[str] = []

    async def one() -> None:
        told.append(f"one, seeing {await stored(container)}")

    async with container.transaction()() as tx:
        tx.after_commit(one)
        tx.after_commit(lambda: told.append("two"))
        tx.after_rollback(lambda: told.append("never"))
        await write(tx.session, "a")
        told.append("in the block")
    return told


@table.case((["one", "three"], ["a"]))
async def a_hook_that_fails_stops_nothing(container: Container) -> Any:
    told: list[str] = []

    def fail() -> None:
        raise ValueError

    async with container.transaction()() as tx:
        tx.after_commit(lambda: told.append("one"))
        tx.after_commit(fail)
        tx.after_commit(lambda: told.append("three"))
        await write(tx.session, "a")
    return told, await stored(container)


@table.case(["undone", "kept"])
async def hooks_of_a_rolled_back_savepoint_are_dropped(container: Container) -> Any:
    told: list[str] = []
    transaction = container.transaction()
    async with transaction() as tx:
        tx.after_commit(lambda: told.append("kept"))
        with contextlib.suppress(ValueError):
            async with transaction(Propagation.NESTED) as nested:
                nested.after_commit(lambda: told.append("dropped"))
                nested.after_rollback(lambda: told.append("undone"))
                raise ValueError
    return told


@table.case((["rolled back"], []))
async def a_block_that_raises_stores_nothing(container: Container) -> Any:
    told: list[str] = []
    with contextlib.suppress(ValueError):
        async with container.transaction()() as tx:
            tx.after_commit(lambda: told.append("never"))
            tx.after_rollback(lambda: told.append("rolled back"))
            await write(tx.session, "a")
            raise ValueError
    return told, await stored(container)


@table.case(("TransactionRolledBack from UniqueViolation", ["a"]))
async def an_error_that_was_swallowed_rolls_back(container: Container) -> Any:
    async def block() -> None:
        async with container.transaction()() as tx:
            await write(tx.session, "b")
            with contextlib.suppress(DatabaseError):
                await write(tx.session, "a")

    await note(container, "a")
    return await error_of(block()), await stored(container)


@table.case(("TransactionRolledBack from ValueError", []))
async def a_failure_swallowed_around_a_joined_block_rolls_back(container: Container) -> Any:
    transaction = container.transaction()

    async def block() -> None:
        async with transaction() as tx:
            await write(tx.session, "a")
            with contextlib.suppress(ValueError):
                async with transaction():
                    raise ValueError

    return await error_of(block()), await stored(container)


@table.case(("TransactionRolledBack from UniqueViolation", ["a", "b"]))
async def an_error_swallowed_in_a_savepoint_rolls_back_to_it(container: Container) -> Any:
    transaction = container.transaction()

    async def nested() -> None:
        async with transaction(Propagation.NESTED) as tx:
            await write(tx.session, "c")
            with contextlib.suppress(DatabaseError):
                await write(tx.session, "a")

    async with transaction() as tx:
        await write(tx.session, "a")
        error = await error_of(nested())
        await write(tx.session, "b")
    return error, await stored(container)


@table.case(["a", "b"])
async def an_error_that_leaves_a_savepoint_leaves_the_rest(container: Container) -> Any:
    transaction = container.transaction()
    async with transaction() as tx:
        await write(tx.session, "a")
        with contextlib.suppress(DatabaseError):
            async with transaction(Propagation.NESTED) as nested:
                await write(nested.session, "c")
                await write(nested.session, "a")
        await write(tx.session, "b")
    return await stored(container)


@table.case(["NotNullViolation", "CheckViolation", "ForeignKeyViolation", "UniqueViolation"])
async def broken_constraints_have_their_names(container: Container) -> Any:
    async def block(statement: Any) -> None:
        async with container.transaction()() as tx:
            await tx.session.execute(statement)

    await note(container, "a")
    statements = [
        notes.insert().values(id=7, text=None),
        notes.insert().values(text="refused"),
        marks.insert().values(note=99),
        notes.insert().values(text="a"),
    ]
    return [await error_of(block(statement)) for statement in statements]


@table.case(("ForeignKeyViolation", "rolled back", ["rolled back"], [], 0))
async def a_deferred_foreign_key_is_checked_by_the_commit(container: Container) -> Any:
    told: list[str] = []
    seen: list[Transaction] = []

    async def block() -> None:
        async with container.transaction()() as tx:
            seen.append(tx)
            tx.after_commit(lambda: told.append("never"))
            tx.after_rollback(lambda: told.append("rolled back"))
            await write(tx.session, "a")
            await tx.session.execute(replies.insert().values(note=99))

    error = await error_of(block())
    return error, str(seen[0].outcome), told, await stored(container), await replies_stored(container)


@table.case(
    {
        "sqlite": (["no error"] * 3, 3),
        "postgresql": (["no error"] * 3, 3),
        "mariadb": (["ForeignKeyViolation"] * 3, 0),  # it has no deferred ones
    }
)
async def a_deferred_foreign_key_is_deferred_in_each_transaction(container: Container) -> Any:
    async def block(id_: int) -> None:
        async with container.transaction()() as tx:
            await tx.session.execute(replies.insert().values(note=id_))
            await write(tx.session, f"note {id_}", id=id_)

    return [await error_of(block(id_)) for id_ in (1, 2, 3)], await replies_stored(container)


@table.case(("TransactionRolledBack", []))
async def rollback_only_rolls_back(container: Container) -> Any:
    async def block() -> None:
        async with container.transaction()() as tx:
            await write(tx.session, "a")
            tx.set_rollback_only()

    return await error_of(block()), await stored(container)


@table.case(("TransactionIsOurs", "TransactionRolledBack from TransactionIsOurs", []))
async def a_commit_on_the_connection_is_refused(container: Container) -> Any:
    told: list[str] = []

    async def block() -> None:
        async with container.transaction()() as tx:
            await write(tx.session, "a")
            connection = await tx.session.connection()
            told.append(await error_of(connection.commit()))

    error = await error_of(block())
    return *told, error, await stored(container)


@table.case(["a"])
async def the_engine_itself_commits_and_rolls_back(container: Container) -> Any:
    async with container.engine().begin() as connection:
        await write(connection, "a")
    async with container.engine().connect() as connection:
        await write(connection, "b")
        await connection.rollback()
    return await stored(container)


async def note(container: Container, value: str, **columns: Any) -> None:
    async with container.transaction()() as tx:
        await write(tx.session, value, **columns)
