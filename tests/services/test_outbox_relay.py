"""OutboxRelay: whatever becomes of broker, relay and worker, a message is published until it is done."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from containers import Container
from domain import OutboxMessage
from services.messaging.outbox_relay import OutboxRelay
from services.messaging.publisher import BrokerUnavailable
from tests.patience import until
from tests.services.messages import MemoryPublisher, welcomed
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


def relay_of(
    container: Container, publisher: MemoryPublisher, redeliver_after: float = 60, poll_interval: float = 60
) -> OutboxRelay:
    return OutboxRelay(
        container.transaction(),
        container.outbox_dao(),
        publisher,
        container.notification_listener(),
        100,
        poll_interval,
        timedelta(seconds=redeliver_after),
    )


async def waiting(container: Container) -> list[OutboxMessage]:
    return list((await container.outbox_service().list()).items)


async def relayed(relay: OutboxRelay) -> bool:
    return await relay.relay() > 0


async def test_a_message_is_published_once_while_its_time_runs(container: Container) -> None:
    publisher = MemoryPublisher()
    relay = relay_of(container, publisher)
    await welcomed(container)
    (message,) = await waiting(container)
    assert message.why_not_done() == "published by no relay yet"
    assert await relay.relay() == 1
    assert await relay.relay() == 0
    (message,) = await waiting(container)
    assert publisher.published == [message.id]
    assert message.publications == 1
    assert "taken by no worker" in message.why_not_done()


async def test_a_message_that_is_not_done_is_published_again_each_time_after_twice_as_long(
    container: Container,
) -> None:
    publisher = MemoryPublisher()
    relay = relay_of(container, publisher, redeliver_after=0.05)
    await welcomed(container)
    pauses = []
    for _ in range(3):
        await until(lambda: relayed(relay))
        (message,) = await waiting(container)
        assert message.published_at is not None
        pauses.append(message.due_at - message.updated_at)
    assert publisher.published == [message.id] * 3
    assert (
        pauses[0] < timedelta(seconds=0.05) < pauses[1] + timedelta(seconds=0.05) < pauses[2] + timedelta(seconds=0.1)
    )


async def test_a_message_that_is_done_is_published_no_more(container: Container) -> None:
    publisher = MemoryPublisher()
    relay = relay_of(container, publisher, redeliver_after=0.001)
    await welcomed(container)
    await relay.relay()
    (message,) = await waiting(container)
    await container.inbox_service().handle(message.id)
    await asyncio.sleep(0.01)
    assert await relay.relay() == 0
    assert await container.inbox_dao().done([message.id]) == {message.id}


async def test_a_broker_that_is_down_costs_no_message_and_parks_none(container: Container) -> None:
    publisher = MemoryPublisher()
    publisher.down = True
    relay = relay_of(container, publisher)
    await welcomed(container)
    for _ in range(20):
        with suppress(BrokerUnavailable):
            await relay.relay()
        await container.outbox_service().retry((await waiting(container))[0].id)
    (message,) = await waiting(container)
    assert "the broker didn't take it: ConnectionRefusedError" in message.why_not_done()
    publisher.down = False
    assert await relay.relay() == 1


async def test_relays_side_by_side_share_the_messages(container: Container) -> None:
    publisher = MemoryPublisher()
    for number in range(40):
        await welcomed(container, f"user{number}@example.com")
    relays = [relay_of(container, publisher) for _ in range(4)]
    for relay in relays:
        relay._batch = 5
    while sum(await asyncio.gather(*(relay.relay() for relay in relays))):
        pass
    assert len(publisher.published) == len(set(publisher.published)) == 40


async def test_a_relay_that_dies_between_claim_and_publishing_loses_nothing(container: Container) -> None:
    class Dying(MemoryPublisher):
        async def publish(self, messages: object) -> None:
            raise asyncio.CancelledError

    await welcomed(container)
    with pytest.raises(asyncio.CancelledError):
        await relay_of(container, Dying(), redeliver_after=0.05).relay()
    publisher = MemoryPublisher()
    relay = relay_of(container, publisher)
    await until(lambda: relayed(relay))
    assert len(publisher.published) == 1


async def test_a_running_relay_outlives_an_outage(container: Container) -> None:
    publisher = MemoryPublisher()
    publisher.down = True
    running = asyncio.create_task(relay_of(container, publisher, poll_interval=0.02).run())
    await welcomed(container)
    await asyncio.sleep(0.1)
    publisher.down = False
    await until(lambda: len(publisher.published) == 1)
    running.cancel()
    await asyncio.wait((running,))
    assert running.cancelled()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_postgresql_wakes_a_relay_long_before_it_would_look(container: Container) -> None:
    publisher = MemoryPublisher()
    running = asyncio.create_task(relay_of(container, publisher, poll_interval=60).run())
    try:
        await welcomed(container)
        await until(lambda: len(publisher.published) == 1)
        await welcomed(container, "b@example.com")
        await until(lambda: len(publisher.published) == 2)
    finally:
        running.cancel()
        await asyncio.wait((running,))
