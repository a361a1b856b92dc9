"""InboxService: however often a message is delivered, its effects are committed once."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import InboxMessage, OutboxMessage, User
from domain.errors import EmailTaken
from services.messaging.handlers import Handler, at_least_once, exactly_once
from services.messaging.inbox_service import Handled, InboxService
from settings.outbox import OutboxSettings
from tests.services.messages import TOPIC, service_with, welcomed
from unitwork.models import SYSTEM, acting_as, acting_user_id, utc_now

pytestmark = pytest.mark.database("own")


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


def service_of(container: Container, handler: Handler, attempts: int = 3, backoff: float = 10) -> InboxService:
    retries = OutboxSettings(max_attempts=attempts, backoff=backoff, backoff_max=60)  # type: ignore[arg-type]  # seconds
    return service_with(container, handler, retries)


async def message_of(container: Container, topic: str = TOPIC) -> OutboxMessage:
    async with container.transaction()():
        return await container.outbox_service().append(topic, {})


def effect(container: Container) -> Handler:
    """Creates an account."""

    @exactly_once
    async def handler(message: OutboxMessage) -> None:
        await container.user_service().create({"email": f"m{message.id}@example.com"})

    return handler


async def pause_is_over(container: Container) -> None:
    """Have the pauses after failures ended, and leases too."""
    past = utc_now() - timedelta(seconds=1)
    await container.outbox_dao().update().all_rows().set(not_before=None, leased_until=past).execute()


async def test_ten_deliveries_at_once_have_one_effect(container: Container, session: AsyncSession) -> None:
    message = await message_of(container)
    service = service_of(container, effect(container), attempts=100)
    outcomes = await asyncio.gather(*(service.handle(message.id) for _ in range(10)))
    assert Counter(outcomes)[Handled.HANDLED] == 1
    assert set(outcomes) <= {Handled.HANDLED, Handled.NOT_WAITING, Handled.HELD}
    assert await service.handle(message.id) is Handled.NOT_WAITING
    assert await session.scalar(select(func.count()).select_from(User)) == 1
    assert [done.id for done in await session.scalars(select(InboxMessage))] == [message.id]
    assert await session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


async def test_a_handler_that_fails_has_no_effect_and_is_tried_later(
    container: Container, session: AsyncSession
) -> None:
    message = await message_of(container)

    @exactly_once
    async def handler(message: OutboxMessage) -> None:
        await container.user_service().create({"email": "half@example.com"})
        raise EmailTaken

    assert await service_of(container, handler).handle(message.id) is Handled.FAILED
    assert await session.scalar(select(func.count()).select_from(User)) == 0
    kept = await container.outbox_service().get(message.id)
    assert kept.due_at - (kept.failed_at or kept.due_at) == timedelta(seconds=10)
    assert "EmailTaken: another account has this email" in kept.why_not_done()
    assert await service_of(container, effect(container)).handle(message.id) is Handled.HELD, "its pause runs"
    await pause_is_over(container)
    assert await service_of(container, effect(container)).handle(message.id) is Handled.HANDLED


async def test_a_poison_message_is_parked_and_names_its_reason(container: Container) -> None:
    message = await message_of(container)

    @exactly_once
    async def handler(message: OutboxMessage) -> None:
        raise TypeError("canary")

    service = service_of(container, handler)
    outcomes = []
    for _ in range(5):
        outcomes.append(await service.handle(message.id))
        await pause_is_over(container)
    assert outcomes == [Handled.FAILED, Handled.FAILED, Handled.PARKED, Handled.NOT_WAITING, Handled.NOT_WAITING]
    kept = await container.outbox_service().get(message.id)
    assert kept.why_not_done() == "parked after 3 times begun: TypeError"
    assert await container.outbox_relay().relay() == 0
    await container.outbox_service().retry(message.id)
    assert await service_of(container, effect(container)).handle(message.id) is Handled.HANDLED


async def test_attempts_and_pauses_are_those_of_the_topic(container: Container) -> None:
    message = await message_of(container)

    @at_least_once
    async def handler(message: OutboxMessage) -> None:
        raise ConnectionResetError

    own = {"max_attempts": 2, "backoff": 30, "backoff_max": 40}
    retries = OutboxSettings.model_validate({"topics": {TOPIC: own}})
    service = service_with(container, handler, retries)
    assert await service.handle(message.id) is Handled.FAILED
    kept = await container.outbox_service().get(message.id)
    assert kept.due_at - (kept.failed_at or kept.due_at) == timedelta(seconds=30)
    await pause_is_over(container)
    assert await service.handle(message.id) is Handled.PARKED


async def test_a_message_that_is_cancelled_each_time_pauses_and_is_parked_with_the_reason(container: Container) -> None:
    message = await message_of(container)

    begun = asyncio.Event()

    @at_least_once
    async def handler(message: OutboxMessage) -> None:
        begun.set()
        await asyncio.sleep(60)

    service = service_of(container, handler, attempts=2)
    for _ in range(2):
        begun.clear()
        task = asyncio.create_task(service.handle(message.id))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await service.handle(message.id) in {Handled.HELD, Handled.NOT_WAITING}
        await pause_is_over(container)
    parked = await container.outbox_service().get(message.id)
    assert parked.why_not_done() == "parked after 2 times begun: cancelled, by its time limit or as the worker stopped"


async def test_a_message_that_kills_its_worker_each_time_is_parked_too(container: Container) -> None:
    message = await message_of(container)
    service = service_of(container, effect(container), attempts=2)
    for holder in range(2):
        now = utc_now()
        begun = await container.outbox_dao().begin(message.id, at=now, until=now + timedelta(seconds=60), holder=holder)
        assert begun is not None
        assert "which has it until" in begun.why_not_done()
        await pause_is_over(container)
    killed = await container.outbox_service().get(message.id)
    assert "(2 times), which was killed or ended itself" in killed.why_not_done()
    assert await service.handle(message.id) is Handled.PARKED
    parked = await container.outbox_service().get(message.id)
    assert "no worker came to its end" in parked.why_not_done()


async def test_a_message_that_nobody_handles_yet_waits_for_a_worker_that_does(container: Container) -> None:
    message = await message_of(container, "nobody.knows")
    service = service_of(container, effect(container), attempts=2)
    assert await service.handle(message.id) is Handled.FAILED
    kept = await container.outbox_service().get(message.id)
    assert "failed (once begun): nobody handles nobody.knows" in kept.why_not_done()
    await pause_is_over(container)
    assert await service.handle(message.id) is Handled.PARKED
    kept = await container.outbox_service().get(message.id)
    assert kept.why_not_done() == "parked after 2 times begun: nobody handles nobody.knows"


async def test_a_new_account_is_welcomed_once(container: Container, tmp_path: Path) -> None:
    user = await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    service = container.inbox_service()
    assert await service.handle(message.id) is Handled.HANDLED
    assert await service.handle(message.id) is Handled.NOT_WAITING
    (file,) = (tmp_path / "notifications").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(file.read_text())
    assert (told["id"], told["user_id"], told["kind"]) == (str(message.id), str(user.id), "registered")
    assert (told["address"], told["subject"]) == ("ada@example.com", "Welcome: confirm your e-mail address")
    assert "Ada" not in told["text"], "a name that a stranger typed is not mailed to an address that isn't proven"
    assert acting_user_id() == SYSTEM


async def test_an_account_that_is_deleted_meanwhile_is_told_nothing(container: Container, tmp_path: Path) -> None:
    user = await welcomed(container)
    await container.user_service().delete(user.id)
    (message,) = (await container.outbox_service().list()).items
    assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    assert not (tmp_path / "notifications").exists()
    assert (await container.outbox_service().list()).items == []
