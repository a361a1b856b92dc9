"""A thread, a callback or another event loop is not the task that opened the block, and is told so by name."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anyio.from_thread
import anyio.to_thread
import pytest

from containers import Container
from domain import User
from settings import Settings
from unitwork import Transaction, current_transaction
from unitwork.errors import EngineBelongsToAnotherLoop, EngineNotStarted, SessionBelongsToAnotherTask
from unitwork.models import SYSTEM, acting_as
from unitwork.models.acting_user import acting_user_id

IN_THREAD = {"to_thread": asyncio.to_thread, "anyio": anyio.to_thread.run_sync}


def by_hand(coroutine: Any) -> Any:
    """The first step of a coroutine, in a thread that has no event loop."""
    try:
        return coroutine.send(None)
    finally:
        coroutine.close()


def ways(container: Container, tx: Transaction) -> dict[str, Callable[[], Any]]:
    """Whatever a thread may try with what is open."""
    session, users = tx.session, container.user_dao()
    return {
        "hook": lambda: tx.after_commit(print),
        "rollback hook": lambda: tx.after_rollback(print),
        "set_rollback_only": tx.set_rollback_only,
        "add": lambda: session.add(User.create({"email": "thread@example.com"})),
        "add_all": lambda: session.sync_session.add_all([User.create({"email": "thread@example.com"})]),
        "sync execute": lambda: session.sync_session.execute(users.query().statement),
        "sync get": lambda: session.sync_session.get(User, 1),
        "sync flush": lambda: session.sync_session.flush(),
        "execute": lambda: by_hand(session.execute(users.query().statement)),
        "flush": lambda: by_hand(session.flush()),
        "get": lambda: by_hand(session.get(User, 1)),
        "stream": lambda: by_hand(session.stream(users.query().statement)),
        "dao": lambda: by_hand(users.get(1)),
        "builder": lambda: by_hand(users.query().all()),
        "count": lambda: by_hand(users.count().rows()),
        "provider": lambda: by_hand(container.session_provider()().__aenter__()),
        "transaction": lambda: by_hand(container.transaction()().__aenter__()),
        "own loop": lambda: asyncio.run(users.get(1)),
    }


@pytest.mark.database("own")
@pytest.mark.parametrize("start", IN_THREAD.values(), ids=IN_THREAD)
async def test_what_a_thread_does_with_an_open_block_is_refused_by_name(container: Container, start: Any) -> None:
    async with container.transaction()() as tx:
        await container.user_dao().count().rows()

        def told(way: Callable[[], Any]) -> BaseException | None:
            threading.current_thread().name = "the thread"
            try:
                with acting_as(SYSTEM):
                    way()
            except Exception as error:
                return error
            return None

        for name, way in ways(container, tx).items():
            if name == "sync flush":
                continue  # nothing is pending: nothing happens
            error = await start(told, way)
            assert isinstance(error, (SessionBelongsToAnotherTask, EngineBelongsToAnotherLoop)), (name, error)
            if isinstance(error, SessionBelongsToAnotherTask):
                assert error.thread == "the thread"
                assert "'the thread'" in str(error), name
                assert "anyio.from_thread.run" in str(error), name
        assert await start(current_transaction) is None
        assert await start(lambda: tx.active) is True
        assert tx is current_transaction()
        with acting_as(SYSTEM):
            assert await start(acting_user_id) == SYSTEM
        await container.user_dao().count().rows()
    assert await container.user_dao().count().rows() == 0


async def test_a_callback_of_the_event_loop_is_nobodys_task(container: Container) -> None:
    loop = asyncio.get_running_loop()
    seen = loop.create_future()

    def callback() -> None:
        assert asyncio.current_task() is None
        error: BaseException | None = None
        try:
            tx.session.add(User.create({"email": "callback@example.com"}))
        except SessionBelongsToAnotherTask as refused:
            error = refused
        seen.set_result((current_transaction(), error))

    async with container.transaction()() as tx:
        loop.call_soon(callback)
        transaction, error = await seen
    assert transaction is None
    assert isinstance(error, SessionBelongsToAnotherTask)
    assert error.thread is None
    assert error.user == "no task"


async def test_an_ended_session_is_refused_in_a_callback_too(container: Container) -> None:
    async with container.transaction()() as tx:
        pass
    seen = asyncio.get_running_loop().create_future()

    def callback() -> None:
        try:
            tx.session.add(User.create({"email": "callback@example.com"}))
        except Exception as error:
            seen.set_result(error)

    asyncio.get_running_loop().call_soon(callback)
    assert isinstance(await seen, SessionBelongsToAnotherTask)


def test_code_before_any_event_loop_finds_no_transaction() -> None:
    container = Container(settings=Settings())
    assert current_transaction() is None
    with acting_as(SYSTEM):
        assert acting_user_id() == SYSTEM
    with pytest.raises(EngineNotStarted):
        by_hand(container.user_dao().get(1))
    with pytest.raises(EngineNotStarted):
        by_hand(container.transaction()().__aenter__())


@pytest.mark.database("own")
async def test_a_thread_works_in_the_containers_loop_with_a_transaction_of_its_own(container: Container) -> None:
    async def add() -> int:
        with acting_as(SYSTEM):
            async with container.transaction()():
                return (await container.user_dao().add(User.create({"email": "ann@example.com"}))).id

    def endpoint() -> int:
        return anyio.from_thread.run(add)

    id_ = await anyio.to_thread.run_sync(endpoint)
    assert (await container.user_dao().get(id_)).email == "ann@example.com"
