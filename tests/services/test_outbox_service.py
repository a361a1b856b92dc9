"""OutboxService: a message shares the fate of the transaction it is stored in."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import OutboxMessage
from domain.message_payload import UnusablePayload, UnusableTopic
from domain.trace_parent import bound_trace_parent
from repositories.errors import MessageNotFound
from services.messaging.inbox_service import Handled
from tests.services.messages import TOPIC, welcomed
from unitwork.errors import NoActiveTransaction
from unitwork.models import SYSTEM, acting_as, bound_request_id
from unitwork.models.utc_datetime import utc_now

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def stored(session: AsyncSession) -> list[OutboxMessage]:
    return list(await session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))


async def test_a_message_is_stored_with_whom_and_which_request_it_is_for(
    container: Container, session: AsyncSession
) -> None:
    with acting_as(7), bound_request_id("request-1"), bound_trace_parent(TRACE):
        async with container.transaction()():
            await container.outbox_service().append("a.topic", {"user_id": "1"})
    (message,) = await stored(session)
    assert (message.topic, message.payload) == ("a.topic", {"user_id": "1"})
    assert (message.created_by, message.request_id, message.trace_parent) == (7, "request-1", TRACE)


async def test_a_message_of_a_rolled_back_transaction_never_was(container: Container, session: AsyncSession) -> None:
    with acting_as(SYSTEM), pytest.raises(ZeroDivisionError):
        async with container.transaction()():
            await container.outbox_service().append("a.topic", {})
            raise ZeroDivisionError
    assert await stored(session) == []


async def test_a_message_outside_a_transaction_is_refused(container: Container, session: AsyncSession) -> None:
    with acting_as(SYSTEM), pytest.raises(NoActiveTransaction):
        await container.outbox_service().append("a.topic", {})
    assert await stored(session) == []


async def test_a_delayed_message_is_relayed_and_begun_no_sooner(container: Container) -> None:
    with acting_as(SYSTEM):
        async with container.transaction()():
            later = await container.outbox_service().append(TOPIC, {}, after=timedelta(hours=1))
            soon = await container.outbox_service().append(TOPIC, {}, after=timedelta(milliseconds=1))
        await asyncio.sleep(0.01)
        claimed = await _claimed(container)
        assert [message.id for message in claimed] == [soon.id]
        assert (await container.outbox_service().get(later.id)).why_not_done().startswith("delayed until ")
        assert await container.inbox_service().handle(later.id) is Handled.HELD
        await container.outbox_service().retry(later.id)
        assert [message.id for message in await _claimed(container)] == [later.id], "an operator is told no delay"


async def _claimed(container: Container) -> list[OutboxMessage]:
    async with container.transaction()():
        hour = timedelta(hours=1)
        return list(await container.outbox_dao().claim(10, now=utc_now(), redeliver_after=hour))


async def test_a_payload_that_cannot_be_stored_is_refused_where_it_is_appended(
    container: Container, session: AsyncSession
) -> None:
    with acting_as(SYSTEM):
        async with container.transaction()():
            with pytest.raises(UnusablePayload):
                await container.outbox_service().append(TOPIC, {"text": "x\0"})
            with pytest.raises(UnusableTopic):
                await container.outbox_service().append("t" * 101, {})
            await container.user_service().create({"email": "ada@example.com"})
    assert await stored(session) == [], "and the transaction goes on"


async def test_parked_messages_of_one_topic_are_tried_again(container: Container) -> None:
    service, now = container.outbox_service(), utc_now()
    with acting_as(SYSTEM):
        async with container.transaction()():
            ids = [(await service.append(topic, {})).id for topic in ("a.topic", "b.topic", "a.topic")]
        for id_ in ids:
            await container.outbox_dao().failed(id_, at=now, due_at=now, error="TypeError", park=True)
        assert await service.retry_parked("a.topic") == 2
        assert [message.topic for message in (await service.list(parked=True)).items] == ["b.topic"]


async def test_a_trace_of_another_form_is_none(container: Container, session: AsyncSession) -> None:
    with acting_as(SYSTEM), bound_trace_parent("canary\r\n"):
        async with container.transaction()():
            await container.outbox_service().append("a.topic", {})
    assert (await stored(session))[0].trace_parent is None


async def test_the_lag_counts_what_waits_and_what_is_parked(container: Container) -> None:
    service = container.outbox_service()
    assert (await service.lag()).oldest is None
    for email in ("a@example.com", "b@example.com", "c@example.com"):
        await welcomed(container, email)
    first, *_ = (await service.list()).items
    with acting_as(SYSTEM):
        now = utc_now()
        await container.outbox_dao().failed(first.id, at=now, due_at=now, error="TypeError", park=True)
    lag = await service.lag()
    assert (lag.waiting, lag.parked) == (2, 1)
    assert lag.oldest is not None
    assert first.created_at < lag.oldest < now


async def test_what_is_worked_on_or_delayed_does_not_lag(container: Container) -> None:
    service, now = container.outbox_service(), utc_now()
    with acting_as(SYSTEM):
        async with container.transaction()():
            await service.append(TOPIC, {}, after=timedelta(hours=1))
            soon = await service.append(TOPIC, {}, after=timedelta(hours=1))
            begun = await service.append(TOPIC, {})
        until = now + timedelta(hours=1)
        await container.outbox_dao().begin(begun.id, at=utc_now(), until=until, holder=1)
        lag = await service.lag()
        assert (lag.waiting, lag.oldest) == (3, None)
        over = now - timedelta(seconds=1)
        await container.outbox_dao().update().eq("id", soon.id).set(not_before=over).execute()
        assert (await service.lag()).oldest == over, "its delay doesn't count"
        await container.outbox_dao().failed(begun.id, at=now, due_at=now, error="TypeError", park=False)
        await service.retry(soon.id)
        assert (await service.lag()).oldest == soon.created_at


async def test_what_is_parked_is_listed_by_itself_and_tried_again_when_told(container: Container) -> None:
    service = container.outbox_service()
    await welcomed(container)
    await welcomed(container, "b@example.com")
    first, second = (await service.list()).items
    now = utc_now()
    with acting_as(SYSTEM):
        await container.outbox_dao().failed(first.id, at=now, due_at=now, error="TypeError", park=True)
        assert [message.id for message in (await service.list(parked=True)).items] == [first.id]
        assert [message.id for message in (await service.list(parked=False)).items] == [second.id]
        await service.retry(first.id)
        assert (await service.list(parked=True)).items == []
        assert (await service.get(first.id)).attempts == 0
        with pytest.raises(MessageNotFound):
            await service.retry(1)
        assert await service.retry_parked() == 0


async def test_pages_of_messages_are_the_oldest_first(container: Container) -> None:
    service = container.outbox_service()
    for email in ("a@example.com", "b@example.com", "c@example.com"):
        await welcomed(container, email)
    page = await service.list(limit=2)
    rest = await service.list(limit=2, cursor=page.next_cursor)
    ids = [message.id for message in (*page.items, *rest.items)]
    assert (len(page.items), len(rest.items), rest.next_cursor) == (2, 1, None)
    assert ids == sorted(ids)
