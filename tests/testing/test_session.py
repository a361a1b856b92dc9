"""The `session` fixture: arranging and asserting beside the code under test, isolated and with real commits alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import Result, ScalarResult, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import User
from tests.testing.tables import backend_of, create_tables, stored, write
from unitwork.errors import SecondWriterImpossible, StaleVersion, TransactionIsOurs, UniqueViolation
from unitwork.models import SYSTEM, acting_as
from unitwork.testing import CallNeedsBlock, NeedsOwnDatabase


@pytest.fixture(params=["isolated", "own"])
def database_mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
async def _as_system() -> AsyncIterator[None]:
    with acting_as(SYSTEM):
        yield


def ann(**values: object) -> User:
    return User(**{"email": "ann@example.com", "email_key": "ann@example.com"} | values)


@pytest.mark.parametrize("method", ["commit", "flush"])
async def test_what_was_added_is_stored_by_commit_and_by_flush(
    session: AsyncSession, container: Container, method: str
) -> None:
    user = ann()
    session.add(user)
    await getattr(session, method)()
    assert (await container.user_dao().get(user.id)).created_by == SYSTEM
    assert container.schema().connections_in_use == 0


async def test_what_was_added_is_stored_by_the_next_question(session: AsyncSession, container: Container) -> None:
    session.add(ann())
    assert await session.scalar(select(func.count()).select_from(User)) == 1
    assert await container.user_dao().count().rows() == 1


async def test_every_question_is_answered_anew(session: AsyncSession, container: Container) -> None:
    user = ann()
    session.add(user)
    await session.commit()
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: session.get(User, user.id),
        lambda: session.get_one(User, user.id),
        lambda: session.scalar(select(User)),
        lambda: session.scalars(select(User)),
        lambda: session.execute(select(User)),
        lambda: session.refresh(user),
    ]
    for number, ask in enumerate(asks):
        await container.user_dao().update().eq("id", user.id).set(display_name=str(number)).execute()
        found = await ask()
        if isinstance(found, Result | ScalarResult):
            found.all()
        assert user.display_name == str(number)
        assert container.schema().connections_in_use == 0


async def test_a_change_is_stored_and_a_late_one_is_refused(session: AsyncSession, container: Container) -> None:
    user = ann()
    session.add(user)
    await session.commit()
    user.display_name = "Ann"
    await session.commit()
    assert (await container.user_dao().get(user.id)).version == 2
    await container.user_dao().update().eq("id", user.id).set(display_name="Bob").execute()
    user.display_name = "Cid"
    with pytest.raises(StaleVersion):
        await session.commit()
    assert (await container.user_dao().query().one()).display_name == "Bob"


async def test_a_change_is_not_undone_by_the_next_question(session: AsyncSession, container: Container) -> None:
    user = ann()
    session.add(user)
    await session.commit()
    user.display_name = "Ann"
    assert (await session.get_one(User, user.id)).display_name == "Ann"
    assert (await container.user_dao().get(user.id)).display_name == "Ann"


async def test_delete_and_merge_are_stored_at_once(session: AsyncSession, container: Container) -> None:
    user = await session.merge(ann(id=7))
    assert (await container.user_dao().get(7)).email == "ann@example.com"
    await session.delete(user)
    assert await container.user_dao().count().rows() == 0


async def test_an_error_is_typed_and_the_session_goes_on(session: AsyncSession, container: Container) -> None:
    session.add_all([ann(), ann()])
    with pytest.raises(UniqueViolation):
        await session.commit()
    session.add(ann())
    await session.commit()
    assert await container.user_dao().count().rows() == 1
    assert container.schema().connections_in_use == 0


async def test_rollback_forgets_what_is_not_stored(session: AsyncSession, container: Container) -> None:
    session.add(ann())
    await session.rollback()
    await session.commit()
    assert await container.user_dao().count().rows() == 0


async def test_a_block_keeps_the_connection_and_stores_at_its_end(session: AsyncSession, container: Container) -> None:
    await create_tables(container)
    async with session.begin_nested():
        await write(session, "a")
        assert container.schema().connections_in_use == 1
        async with session.begin_nested() as inner:
            await write(session, "b")
            await inner.rollback()
        rows = await session.stream(text("SELECT text FROM notes"))
        assert [row.text async for row in rows] == ["a"]
        assert await (await session.connection()).scalar(text("SELECT count(*) FROM notes")) == 1
        with pytest.raises(TransactionIsOurs):
            await session.commit()
    assert container.schema().connections_in_use == 0
    assert await stored(container) == ["a"]


async def test_a_block_that_raises_stores_nothing(session: AsyncSession, container: Container) -> None:
    await create_tables(container)
    with pytest.raises(KeyError):
        async with session.begin_nested():
            await write(session, "a")
            raise KeyError
    async with session.begin():
        await write(session, "b")
    assert await stored(container) == ["b"]
    assert container.schema().connections_in_use == 0


async def test_what_needs_its_connection_longer_needs_a_block(session: AsyncSession) -> None:
    with pytest.raises(CallNeedsBlock, match=r"`stream` needs .* `async with session.begin_nested\(\):`\.$"):
        await session.stream(text("SELECT 1"))
    with pytest.raises(CallNeedsBlock):
        await session.stream_scalars(text("SELECT 1"))
    with pytest.raises(CallNeedsBlock):
        await session.connection()
    with pytest.raises(CallNeedsBlock, match=r"^a lazy load needs"):
        session.sync_session.connection()


async def test_it_waits_for_the_unit_of_another_task(session: AsyncSession, container: Container) -> None:
    await create_tables(container)
    inside = asyncio.Event()

    async def work() -> None:
        async with container.transaction()() as tx:
            await write(tx.session, "a")
            inside.set()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(work())
    await inside.wait()
    await write(session, "b")
    await task
    assert await stored(container) == ["a", "b"]


async def test_inside_a_transaction_of_the_test(
    session: AsyncSession, container: Container, database_mode: str
) -> None:
    await create_tables(container)
    async with container.transaction()() as tx:
        await write(tx.session, "a")
        if database_mode == "isolated":
            with pytest.raises(NeedsOwnDatabase, match=r"Use that block's `tx.session`, or give the test real commits"):
                await session.scalar(text("SELECT count(*) FROM notes"))
        else:
            assert await session.scalar(text("SELECT count(*) FROM notes")) == 0
            if backend_of(container) == "sqlite":
                with pytest.raises(SecondWriterImpossible):
                    await write(session, "b")
            else:
                await write(session, "b")
    assert "a" in await stored(container)
