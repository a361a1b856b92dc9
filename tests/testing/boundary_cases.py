"""Reading only, working without a transaction, being cancelled, needing a second connection: cases of
test_both_modes.py.
"""

import asyncio
from contextlib import aclosing
from typing import Any

from sqlalchemy import text

from containers import Container
from domain import User
from repositories import UserDao
from tests.testing.cases import Table, error_of
from tests.testing.tables import SLEEP, backend_of, replies, replies_stored, stored, write
from unitwork import Propagation
from unitwork.errors import SecondWriterImpossible, TransactionRolledBack
from unitwork.models import SYSTEM, acting_as

table = Table()
MARIADB_ISOLATION = (
    "SELECT trx_isolation_level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
)
TEXT_IS_LET_BY = ("no error", ["a", "c"])
"""MariaDB can't be asked to refuse it for a part of a transaction."""


@table.case((["ReadOnlyTransaction", "ReadOnlyTransaction", "ReadOnlyTransaction"], ["a"]))
async def what_reads_only_writes_nothing(container: Container) -> Any:
    async def built(**options: Any) -> None:
        async with container.transaction()(read_only=True, **options) as tx:
            await write(tx.session, "b")

    async def textual(**options: Any) -> None:
        async with container.transaction()(read_only=True, **options) as tx:
            await tx.session.execute(text("INSERT INTO notes (text) VALUES ('c')"))

    refused = [await error_of(work) for work in (built(), textual(), textual(propagation=Propagation.NOT_SUPPORTED))]
    async with container.transaction()() as tx:
        await write(tx.session, "a")
    return refused, await stored(container)


@table.case(
    {"sqlite": ("ReadOnlyTransaction", ["a"]), "postgresql": ("ReadOnlyTransaction", ["a"]), "mariadb": TEXT_IS_LET_BY}
)
async def a_block_that_reads_only_inside_one_that_writes_is_refused_text_too(container: Container) -> Any:
    transaction = container.transaction()

    async def inner() -> None:
        async with transaction(Propagation.NESTED, read_only=True) as tx:
            await tx.session.execute(text("INSERT INTO notes (text) VALUES ('c')"))

    async with transaction() as tx:
        error = await error_of(inner())
        await write(tx.session, "a")
    return error, await stored(container)


@table.case(("ValueError", ["a", "b"]))
async def without_a_transaction_each_statement_stays(container: Container) -> Any:
    try:
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            await write(tx.session, "a")
            assert await error_of(write(tx.session, "a")) == "UniqueViolation"
            await write(tx.session, "b")
            raise ValueError
    except ValueError as error:
        return type(error).__name__, await stored(container)


@table.case((["ForeignKeyViolation", "no error"], 1))
async def without_a_transaction_a_statement_checks_deferred_foreign_keys(container: Container) -> Any:
    async def alone(id_: int) -> None:
        async with container.transaction()(Propagation.NOT_SUPPORTED) as tx:
            await tx.session.execute(replies.insert().values(note=id_))

    async with container.transaction()() as tx:
        await write(tx.session, "a", id=1)
    return [await error_of(alone(id_)) for id_ in (99, 1)], await replies_stored(container)


@table.case(("StaleVersion", "StaleVersion", "second"))
async def who_is_late_is_told(container: Container) -> Any:
    dao: UserDao = container.user_dao()
    with acting_as(SYSTEM):
        user = await dao.add(User(email="a@b.c", email_key="a@b.c", display_name="first"))
        id_ = user.id
        await dao.update().eq("id", id_).set(display_name="second").execute()

        async def flush() -> None:
            async with container.transaction()() as tx:
                user.display_name = "third"
                tx.session.add(user)

        late = await error_of(dao.soft_delete(id_, version=1)), await error_of(flush())
        return *late, (await dao.get(id_)).display_name


@table.case((True, ["a"]))
async def a_task_that_is_cancelled_stores_nothing(container: Container) -> Any:
    async def sleeper() -> None:
        async with container.transaction()() as tx:
            await write(tx.session, "b")
            await tx.session.execute(SLEEP[backend_of(container)])

    async with container.transaction()() as tx:
        await write(tx.session, "a")
    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.wait((task,))
    return task.cancelled(), await stored(container)


@table.case(("TransactionTimeout", ["a"]))
async def a_block_that_takes_too_long_stores_nothing(container: Container) -> Any:
    async def sleeper() -> None:
        async with container.transaction()(timeout=0.3) as tx:
            await write(tx.session, "b")
            await tx.session.execute(SLEEP[backend_of(container)])

    async with container.transaction()() as tx:
        await write(tx.session, "a")
    return await error_of(sleeper()), await stored(container)


@table.case(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
async def the_units_of_ten_tasks_take_turns(container: Container) -> Any:
    async def work(number: int) -> None:
        async with container.transaction()() as tx:
            await write(tx.session, str(number))
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(10)))
    return await stored(container)


@table.case(["NoActiveTransaction", "TransactionNotAllowed", "SessionBelongsToAnotherTask"])
async def blocks_in_the_wrong_place_are_refused(container: Container) -> Any:
    transaction = container.transaction()

    async def enter(propagation: Propagation) -> None:
        async with transaction(propagation):
            raise AssertionError

    outside = await error_of(enter(Propagation.MANDATORY))
    async with transaction():
        inside = await error_of(enter(Propagation.NEVER))
        elsewhere = await asyncio.create_task(error_of(enter(Propagation.MANDATORY)))
    return [outside, inside, elsewhere]


@table.case({"postgresql": ["b"], "mariadb": ["b"], "sqlite": "SecondWriterImpossible"}, needs_own=True)
async def a_transaction_inside_another_is_independent(container: Container) -> Any:
    transaction = container.transaction()

    async def inner() -> None:
        async with transaction(Propagation.REQUIRES_NEW) as tx:
            await write(tx.session, "b")

    try:
        async with transaction() as tx:
            await write(tx.session, "a")
            await inner()
            tx.set_rollback_only()
    except SecondWriterImpossible as error:
        return type(error).__name__
    except TransactionRolledBack:
        return await stored(container)


@table.case([], needs_own=True)
async def a_block_beside_the_transaction_does_not_see_it(container: Container) -> Any:
    async with container.transaction()() as tx:
        await write(tx.session, "a")
        async with container.transaction()(Propagation.NOT_SUPPORTED, read_only=True):
            return await stored(container)


@table.case([], needs_own=True)
async def a_task_inside_a_transaction_does_not_see_it(container: Container) -> Any:
    async def reader() -> Any:
        async with container.transaction()(read_only=True) as tx:
            return list(await tx.session.scalars(text("SELECT text FROM notes")))

    async with container.transaction()() as tx:
        await write(tx.session, "a")
        return await asyncio.create_task(reader())


@table.case("serializable", needs_own=True)
async def an_isolation_level_can_be_asked_for(container: Container) -> Any:
    async with container.transaction()(isolation="SERIALIZABLE") as tx:
        if backend_of(container) == "sqlite":
            return "serializable"
        if backend_of(container) == "mariadb":
            await tx.session.execute(text("SELECT text FROM notes"))
            return str(await tx.session.scalar(text(MARIADB_ISOLATION))).lower()
        return await tx.session.scalar(text("SHOW transaction_isolation"))


@table.case(3, needs_own=True)
async def rows_are_streamed_while_others_are_read(container: Container) -> Any:
    dao: UserDao = container.user_dao()
    with acting_as(SYSTEM):
        await dao.add_many([User(email=f"{n}@b.c", email_key=f"{n}@b.c") for n in range(3)])
    found = 0
    async with aclosing(dao.query().stream(chunk=1)) as users:
        async for user in users:
            found += (await dao.get(user.id)).version
    return found
