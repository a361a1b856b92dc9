"""InboxService: however often a message is delivered, its effects are committed once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import InboxMessage, OutboxMessage, User
from domain.errors import EmailTaken
from services.messaging.inbox_service import Handled, InboxService
from tests.services.messages import welcomed
from unitwork.models import SYSTEM, acting_as, acting_user_id

pytestmark = pytest.mark.database("own")

TOPIC = "test.effect"


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


def service_of(
    container: Container, handler: Callable[[OutboxMessage], Awaitable[object]], attempts: int = 3
) -> InboxService:
    pauses = timedelta(seconds=10), timedelta(seconds=60)
    return InboxService(container.outbox_dao(), {TOPIC: handler}, attempts, *pauses)


async def message_of(container: Container, topic: str = TOPIC) -> OutboxMessage:
    async with container.transaction()():
        return await container.outbox_service().append(topic, {})


def effect(container: Container) -> Callable[[OutboxMessage], Awaitable[object]]:
    """Creates an account, once for each message."""

    async def handler(message: OutboxMessage) -> None:
        async with container.transaction()():
            if await container.inbox_dao().take(message.id):
                await container.user_service().create({"email": f"m{message.id}@example.com"})

    return handler


async def test_ten_deliveries_at_once_have_one_effect(container: Container, session: AsyncSession) -> None:
    message = await message_of(container)
    service = service_of(container, effect(container), attempts=100)
    outcomes = await asyncio.gather(*(service.handle(message.id) for _ in range(10)))
    assert set(outcomes) <= {Handled.HANDLED, Handled.NOT_WAITING}
    assert await service.handle(message.id) is Handled.NOT_WAITING
    assert await session.scalar(select(func.count()).select_from(User)) == 1
    assert [done.id for done in await session.scalars(select(InboxMessage))] == [message.id]
    assert await session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


async def test_a_handler_that_fails_has_no_effect_and_is_tried_later(
    container: Container, session: AsyncSession
) -> None:
    message = await message_of(container)

    async def handler(message: OutboxMessage) -> None:
        async with container.transaction()():
            await container.inbox_dao().take(message.id)
            await container.user_service().create({"email": "half@example.com"})
            raise EmailTaken

    assert await service_of(container, handler).handle(message.id) is Handled.FAILED
    assert await session.scalar(select(func.count()).select_from(User)) == 0
    kept = await container.outbox_service().get(message.id)
    assert kept.due_at - (kept.failed_at or kept.due_at) == timedelta(seconds=10)
    assert "EmailTaken: another account has this email" in kept.why_not_done()
    assert await service_of(container, effect(container)).handle(message.id) is Handled.HANDLED


async def test_a_poison_message_is_parked_and_names_its_reason(container: Container) -> None:
    message = await message_of(container)

    async def handler(message: OutboxMessage) -> None:
        raise TypeError("canary")

    service = service_of(container, handler)
    outcomes = [await service.handle(message.id) for _ in range(5)]
    assert outcomes == [Handled.FAILED, Handled.FAILED, Handled.PARKED, Handled.NOT_WAITING, Handled.NOT_WAITING]
    kept = await container.outbox_service().get(message.id)
    assert kept.why_not_done() == "parked after 3 times begun: TypeError"
    assert await container.outbox_relay().relay() == 0
    await container.outbox_service().retry(message.id)
    assert await service_of(container, effect(container)).handle(message.id) is Handled.HANDLED


async def test_a_message_that_kills_its_worker_each_time_is_parked_too(container: Container) -> None:
    message = await message_of(container)

    async def handler(message: OutboxMessage) -> None:
        raise asyncio.CancelledError

    service = service_of(container, handler, attempts=2)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await service.handle(message.id)
    begun = await container.outbox_service().get(message.id)
    assert "ran out of time or was killed" in begun.why_not_done()
    assert await service.handle(message.id) is Handled.PARKED


async def test_a_message_that_nobody_handles_is_parked_at_once(container: Container) -> None:
    message = await message_of(container, "nobody.knows")
    assert await service_of(container, effect(container)).handle(message.id) is Handled.PARKED
    kept = await container.outbox_service().get(message.id)
    assert kept.why_not_done() == "parked after once begun: nobody handles nobody.knows"


async def test_a_new_account_is_welcomed_once(container: Container, tmp_path: Path) -> None:
    user = await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    service = container.inbox_service()
    assert await service.handle(message.id) is Handled.HANDLED
    assert await service.handle(message.id) is Handled.NOT_WAITING
    (file,) = (tmp_path / "notifications").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(file.read_text())
    assert (told["id"], told["user_id"], told["kind"]) == (str(message.id), str(user.id), "welcome")
    assert (told["address"], told["text"]) == ("ada@example.com", "Welcome, Ada.")
    assert acting_user_id() == SYSTEM


async def test_an_account_that_is_deleted_meanwhile_is_told_nothing(container: Container, tmp_path: Path) -> None:
    user = await welcomed(container)
    await container.user_service().delete(user.id)
    (message,) = (await container.outbox_service().list()).items
    assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    assert not (tmp_path / "notifications").exists()
    assert (await container.outbox_service().list()).items == []
