"""Delivery: one at a time has a message, for as long as it works; a handler's form guarantees what its name says."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import OutboxMessage, User
from services.messaging.delivery import Delivery
from services.messaging.handlers import at_least_once, declared, exactly_once, in_steps
from services.messaging.inbox_service import Handled
from settings.outbox import OutboxSettings
from tests.patience import until
from tests.services.messages import TOPIC, service_with
from unitwork import current_transaction
from unitwork.errors import ConnectionLost
from unitwork.models import SYSTEM, acting_as, utc_now

pytestmark = pytest.mark.database("own")

SHORT = OutboxSettings(lease=1, backoff=10)  # type: ignore[arg-type]  # seconds


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


async def message_of(container: Container) -> OutboxMessage:
    async with container.transaction()():
        return await container.outbox_service().append(TOPIC, {})


async def kept(container: Container, message: OutboxMessage) -> OutboxMessage:
    return await container.outbox_service().get(message.id)


async def users(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def test_a_handler_that_outlives_its_lease_renews_it_and_runs_alone(container: Container) -> None:
    message = await message_of(container)
    at_once = most = runs = 0

    @at_least_once
    async def slow(message: OutboxMessage) -> None:
        nonlocal at_once, most, runs
        at_once, runs = at_once + 1, runs + 1
        most = max(most, at_once)
        await asyncio.sleep(2.5)
        at_once -= 1

    service = service_with(container, slow, SHORT)
    first = asyncio.create_task(service.handle(message.id))
    others: list[Handled] = []
    while not first.done():
        others.append(await service.handle(message.id)) if runs else None
        await asyncio.sleep(0.05)
    assert await first is Handled.HANDLED
    assert (most, runs) == (1, 1)
    assert set(others) <= {Handled.HELD, Handled.NOT_WAITING}
    assert others.count(Handled.HELD) > 5
    assert await container.inbox_dao().done([message.id]) == {message.id}


async def test_a_lease_that_is_not_renewed_ends_and_who_had_it_records_nothing(container: Container) -> None:
    message = await message_of(container)
    now = utc_now()
    assert await container.outbox_dao().begin(message.id, at=now, until=now, holder=1) is not None
    assert await container.outbox_dao().begin(message.id, at=utc_now(), until=utc_now(), holder=2) is not None
    assert not await container.outbox_dao().renew(message.id, 1, until=now)
    assert not await container.outbox_dao().hand_over(message.id, 1, at=now)
    late = {"at": now, "due_at": now, "error": "late", "park": True}
    assert not await container.outbox_dao().failed(message.id, holder=1, **late)  # type: ignore[arg-type]
    current = await kept(container, message)
    assert (current.leased_by, current.attempts, current.error, current.parked_at) == (2, 2, None, None)


async def test_who_loses_its_lease_is_cancelled_and_commits_nothing(
    container: Container, session: AsyncSession
) -> None:
    message = await message_of(container)
    begun = asyncio.Event()
    cancelled = False

    @in_steps
    async def handler(message: OutboxMessage, delivery: Delivery) -> None:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled = True
            raise

    task = asyncio.create_task(service_with(container, handler, SHORT).handle(message.id))
    await begun.wait()
    await container.outbox_dao().update().eq("id", message.id).set(leased_by=7).execute()
    assert await asyncio.wait_for(task, 10) is Handled.LOST
    assert cancelled
    assert (await kept(container, message)).leased_by == 7, "what another has is left alone"


async def test_a_worker_that_cannot_reach_the_database_stops_before_its_lease_ends(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await message_of(container)

    async def lost(*_: object, **__: object) -> bool:
        raise ConnectionLost("the server is gone", sqlstate="08006")

    monkeypatch.setattr(type(container.outbox_dao()), "renew", lost)

    @at_least_once
    async def handler(message: OutboxMessage) -> None:
        await asyncio.sleep(30)

    handled = await asyncio.wait_for(service_with(container, handler, SHORT).handle(message.id), 10)
    assert handled is Handled.LOST
    assert (await kept(container, message)).attempts == 1


async def test_a_discarded_message_ends_the_work_on_it(container: Container, session: AsyncSession) -> None:
    message = await message_of(container)
    begun = asyncio.Event()

    @in_steps
    async def handler(message: OutboxMessage, delivery: Delivery) -> None:
        begun.set()
        await withdrawn.wait()
        async with container.transaction()():
            await container.user_service().create({"email": "late@example.com"})
            await delivery.progress()

    withdrawn = asyncio.Event()
    task = asyncio.create_task(service_with(container, handler, OutboxSettings()).handle(message.id))
    await begun.wait()
    assert (await container.outbox_service().discard(message.id)).topic == TOPIC
    withdrawn.set()
    assert await task is Handled.LOST
    assert await users(session) == 0


async def test_effects_in_the_database_are_one_though_their_handler_knows_nothing_of_it(
    container: Container, session: AsyncSession
) -> None:
    message = await message_of(container)
    runs = 0

    @exactly_once
    async def handler(message: OutboxMessage) -> None:
        nonlocal runs
        runs += 1
        await container.user_service().create({"email": f"{runs}@example.com"})

    service = service_with(container, handler, OutboxSettings())
    assert await service.handle(message.id) is Handled.HANDLED
    assert await service.handle(message.id) is Handled.NOT_WAITING
    assert (runs, await users(session)) == (1, 1)


async def test_a_handler_that_sends_elsewhere_has_no_transaction_and_its_message_is_taken_afterwards(
    container: Container,
) -> None:
    message = await message_of(container)
    seen: list[object] = []

    @at_least_once
    async def handler(message: OutboxMessage) -> None:

        seen.append(current_transaction())
        seen.append(await container.inbox_dao().done([message.id]))

    assert await service_with(container, handler, OutboxSettings()).handle(message.id) is Handled.HANDLED
    assert seen == [None, set()]
    assert await container.inbox_dao().done([message.id]) == {message.id}


async def test_a_handler_that_leaves_its_message_is_an_error_after_its_first_run(container: Container) -> None:
    message = await message_of(container)

    @in_steps
    async def handler(message: OutboxMessage, delivery: Delivery) -> None: ...

    service = service_with(container, handler, OutboxSettings())
    assert await service.handle(message.id) is Handled.PARKED
    assert "left its message; put its last step inside" in (await kept(container, message)).why_not_done()


async def test_a_handler_without_a_form_is_refused_before_it_runs(container: Container) -> None:
    message = await message_of(container)
    ran = False

    async def handler(message: OutboxMessage) -> None:
        nonlocal ran
        ran = True

    assert await service_with(container, handler, OutboxSettings()).handle(message.id) is Handled.PARKED
    assert not ran
    assert "put @exactly_once, @at_least_once or @in_steps" in (await kept(container, message)).why_not_done()


async def test_work_that_takes_long_is_handed_over_step_by_step_and_no_attempt_is_used_up(
    container: Container, session: AsyncSession
) -> None:
    message = await message_of(container)
    steps = 0

    @in_steps
    async def handler(message: OutboxMessage, delivery: Delivery) -> None:
        nonlocal steps
        while steps < 12:
            delivery.hand_over_if_due()
            async with container.transaction()():
                await container.user_service().create({"email": f"{steps}@example.com"})
                await delivery.progress()
            steps += 1
            await asyncio.sleep(0.02)
        async with delivery.last_step():
            await container.user_service().create({"email": "last@example.com"})

    service = service_with(container, handler, OutboxSettings(max_attempts=1))
    outcomes: list[Handled] = []

    while not outcomes or outcomes[-1] is Handled.HANDED_OVER:
        outcomes.append(await service.handle(message.id, within=timedelta(seconds=0.06)))
    assert outcomes[-1] is Handled.HANDLED
    assert len(outcomes) > 2
    assert await users(session) == 13


async def test_progress_counts_the_attempts_anew(container: Container) -> None:
    message = await message_of(container)

    @in_steps
    async def handler(message: OutboxMessage, delivery: Delivery) -> None:
        async with container.transaction()():
            await delivery.progress()
        raise ConnectionResetError

    service = service_with(container, handler, OutboxSettings(max_attempts=2, backoff=0.001, backoff_max=0.001))  # type: ignore[arg-type]  # seconds

    async def tried() -> bool:
        return await service.handle(message.id) is Handled.FAILED

    for _ in range(5):
        await until(tried)
    assert (await kept(container, message)).attempts == 0


async def test_a_message_that_was_begun_is_published_again_as_soon_as_a_new_one_if_it_is_lost(
    container: Container,
) -> None:
    message = await message_of(container)
    minute, begins = timedelta(seconds=60), 6

    @at_least_once
    async def failing(message: OutboxMessage) -> None:
        raise ConnectionResetError

    retries = OutboxSettings.model_validate({"backoff": 0.001, "backoff_max": 0.001})
    service = service_with(container, failing, retries)
    for number in range(begins + 1):
        now = utc_now() + number * timedelta(hours=2)
        async with container.transaction()():
            (claimed,) = await container.outbox_dao().claim(1, now=now, redeliver_after=minute)
        await container.outbox_dao().published([claimed.id], at=now)
        assert (await kept(container, message)).due_at - now == minute
        if number < begins:

            async def failed() -> bool:
                return await service.handle(message.id) is Handled.FAILED

            await until(failed)


async def test_every_handler_of_the_service_has_a_form(container: Container) -> None:
    forms = {topic: declared(topic, handler).form for topic, handler in container.message_handlers().items()}
    known = {"user.registered": "at least once", "users.import": "in steps", "users.purged": "at least once"}
    assert {topic: forms[topic] for topic in known} == known
