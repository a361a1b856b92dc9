"""Guards: each error names the fact and the fix, and nothing is written by the wrong hand."""

import asyncio
import random
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from settings import Settings
from tests.database.tables import stored, write
from unitwork import Propagation, TransactionProvider
from unitwork.errors import (
    EngineBelongsToAnotherLoop,
    SecondStatement,
    SecondWriterImpossible,
    SessionBelongsToAnotherTask,
    SessionEnded,
)
from unitwork.models import SYSTEM, acting_as

PARALLEL_MODES = [Propagation.MANDATORY, Propagation.SUPPORTS, Propagation.NEVER]


async def test_two_tasks_on_one_session_are_refused_in_300_of_300_runs(with_tables: Container) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    refused = 0
    for run in range(300):
        async with with_tables.transaction()() as tx:
            task = asyncio.create_task(_intruder(tx.session, f"A{run}", pause=chance.random() / 1000))
            await write(tx.session, f"B{run}")
            await asyncio.wait([task])
            refused += isinstance(task.exception(), SessionBelongsToAnotherTask)
    assert refused == 300
    assert await stored(with_tables) == {f"B{run}" for run in range(300)}


async def _intruder(session: AsyncSession, text_: str, *, pause: float) -> None:
    await asyncio.sleep(pause)
    await write(session, text_)
    raise RuntimeError


async def test_what_another_task_adds_is_refused_before_it_could_be_flushed(with_tables: Container) -> None:
    from domain import User

    async def intruder() -> None:
        with acting_as(SYSTEM):
            session.add(User.create({"email": "intruder@example.com"}))

    async with with_tables.transaction()() as tx:
        session = tx.session
        with pytest.raises(SessionBelongsToAnotherTask):
            await asyncio.create_task(intruder())
    assert await with_tables.user_dao().count().rows() == 0


async def test_gathered_dao_calls_are_refused_inside_a_block_and_work_outside(with_tables: Container) -> None:
    users = with_tables.user_dao()
    async with with_tables.transaction()():
        answers = await asyncio.gather(users.count().rows(), users.get_or_none(1), return_exceptions=True)
    assert [type(answer) for answer in answers] == [SessionBelongsToAnotherTask] * 2
    assert list(await asyncio.gather(users.count().rows(), users.get_or_none(1))) == [0, None]


async def test_the_error_names_both_tasks_the_line_and_the_fix(with_tables: Container) -> None:
    async with with_tables.transaction()() as tx:
        with pytest.raises(SessionBelongsToAnotherTask) as caught:
            await asyncio.create_task(write(tx.session, "no"), name="intruder")
    owner = asyncio.current_task()
    assert owner is not None
    assert caught.value.user == "intruder"
    assert caught.value.owner == owner.get_name()
    assert __file__ in caught.value.call_site
    assert "async with transaction():" in str(caught.value)


@pytest.mark.parametrize("propagation", PARALLEL_MODES)
async def test_another_task_can_not_join_what_is_open(with_tables: Container, propagation: Propagation) -> None:
    transaction = with_tables.transaction()

    async def child() -> None:
        async with transaction(propagation):
            pass

    async with transaction():
        with pytest.raises(SessionBelongsToAnotherTask):
            await asyncio.create_task(child())


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("propagation", [Propagation.REQUIRED, Propagation.REQUIRES_NEW, Propagation.NESTED])
async def test_another_task_may_begin_its_own(
    with_tables: Container, transaction: TransactionProvider, propagation: Propagation
) -> None:
    async def child() -> None:
        async with transaction(propagation) as tx:
            await write(tx.session, "child")

    with pytest.raises(RuntimeError):
        async with transaction() as tx:
            await write(tx.session, "parent")
            await asyncio.create_task(child())
            raise RuntimeError
    assert await stored(with_tables) == {"child"}


async def test_an_inherited_transaction_counts_as_none_once_its_block_has_ended(with_tables: Container) -> None:
    ended = asyncio.Event()

    async def child() -> None:
        await ended.wait()
        async with with_tables.transaction()() as own:
            await write(own.session, "child")
        assert await with_tables.user_dao().count().rows() == 0

    async with with_tables.transaction()():
        task = asyncio.create_task(child())
    ended.set()
    await task
    assert await stored(with_tables) == {"child"}


async def test_a_session_is_refused_for_good_once_its_block_has_ended(with_tables: Container) -> None:
    ended = asyncio.Event()

    async def child() -> None:
        await ended.wait()
        await write(session, "late")

    async with with_tables.transaction()() as tx:
        session = tx.session
        task = asyncio.create_task(child())
    with pytest.raises(SessionEnded):
        await write(session, "late")
    ended.set()
    with pytest.raises(SessionBelongsToAnotherTask):
        await task
    assert with_tables.schema().connections_in_use == 0
    assert await stored(with_tables) == set()


async def test_a_stream_iterated_by_another_task_is_refused(with_tables: Container) -> None:
    async with with_tables.session_provider()() as session:
        await write(session, "one")
        rows = await session.stream(text("SELECT text FROM notes"))

        async def reader() -> None:
            async for _ in rows:
                pass

        with pytest.raises(SessionBelongsToAnotherTask):
            await asyncio.create_task(reader())
        assert [row.text async for row in rows] == ["one"]


async def test_a_lone_session_refuses_a_second_statement(with_tables: Container) -> None:
    from unitwork.transactions.block_options import BlockOptions
    from unitwork.transactions.session_source import session_of

    async with session_of(
        with_tables.session_provider(), BlockOptions(transactional=False, autocommit=True)
    ) as session:
        await write(session, "one")
        with pytest.raises(SecondStatement):
            await write(session, "two")
    assert await stored(with_tables) == {"one"}


async def test_asking_a_session_for_its_engine_begins_nothing(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    async with transaction() as writing:
        await write(writing.session, "one")

        async def ask() -> str:
            async with transaction() as tx:
                assert tx.session.get_bind().dialect is writing.session.get_bind().dialect
                assert not tx.unit.connected
                return tx.session.get_bind(clause=text("SELECT 1")).dialect.name

        async with asyncio.timeout(1.0):  # on SQLite a second writer would wait for the first one
            assert await asyncio.create_task(ask()) == with_tables.engine().dialect.name


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_sqlite_refuses_a_second_writer_at_once_and_lets_a_reader_in(
    with_tables: Container, transaction: TransactionProvider
) -> None:
    async with transaction() as before:
        await write(before.session, "before")
    async with transaction() as outer:
        await write(outer.session, "outer")
        begun = time.perf_counter()
        with pytest.raises(SecondWriterImpossible):
            async with transaction(Propagation.REQUIRES_NEW):
                pass
        with pytest.raises(SecondWriterImpossible):
            await asyncio.create_task(_requires_new(transaction))
        assert time.perf_counter() - begun < 1, "nothing waits for the writer"
        async with transaction(Propagation.REQUIRES_NEW, read_only=True) as reader:
            seen = (await reader.session.scalars(text("SELECT text FROM notes"))).all()
        assert seen == ["before"]
    assert await stored(with_tables) == {"before", "outer"}


async def _requires_new(transaction: TransactionProvider) -> None:
    async with transaction(Propagation.REQUIRES_NEW):
        pass


def test_another_event_loop_is_refused_and_four_in_a_row_each_with_its_own_container_work(settings: Settings) -> None:
    async def use() -> int:
        async with running(Container(settings=settings)) as container:
            left.append(container)
            await container.user_dao().count().rows()
            return container.schema().connections_in_use

    left: list[Container] = []
    assert [asyncio.run(use()) for _ in range(4)] == [0, 0, 0, 0]

    container = Container(settings=settings)
    loop = asyncio.new_event_loop()
    try:

        async def enter() -> None:
            entered = running(container)
            await entered.__aenter__()
            blocks.append(entered)
            await container.user_dao().count().rows()

        blocks: list[object] = []
        loop.run_until_complete(enter())
        with pytest.raises(EngineBelongsToAnotherLoop):
            asyncio.run(container.user_dao().count().rows())
        loop.run_until_complete(blocks[0].__aexit__(None, None, None))  # type: ignore[attr-defined]
    finally:
        loop.close()
