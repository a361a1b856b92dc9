"""The kit's messages: what waits is asserted, and delivered in this process, isolated or on a database of its own."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from containers import Container
from services.messaging.inbox_service import Handled
from tests.services.messages import welcomed
from unitwork.models import SYSTEM, acting_as

Deliver = Callable[..., Awaitable[Any]]


async def test_what_is_due_is_delivered_with_what_its_handlers_append(
    container: Container, deliver_due: Deliver, assert_appended: Deliver
) -> None:
    user = await welcomed(container)
    (message,) = await assert_appended("user.registered", {"user_id": str(user.id)})
    with acting_as(SYSTEM):
        async with container.transaction()():
            later = await container.outbox_service().append(
                "user.registered", {"user_id": "1"}, after=timedelta(days=1)
            )
    assert await deliver_due() == [("user.registered", Handled.HANDLED)]
    assert await container.inbox_dao().done([message.id]) == {message.id}
    (left,) = await assert_appended("user.registered")
    assert left.id == later.id
    assert await deliver_due() == []


async def test_a_delivery_that_fails_fails_the_test_and_says_why(container: Container, deliver_due: Deliver) -> None:
    with acting_as(SYSTEM):
        async with container.transaction()():
            await container.outbox_service().append("nobody.knows", {})
    assert await deliver_due(may_fail=True) == [("nobody.knows", Handled.FAILED)]
    (message,) = (await container.outbox_service().list()).items
    with acting_as(SYSTEM):
        await container.outbox_service().retry(message.id)
    with pytest.raises(AssertionError, match=r"nobody.knows was delivered, and is failed: failed .* nobody handles"):
        await deliver_due()


async def test_what_was_not_appended_is_told_with_what_was(container: Container, assert_appended: Deliver) -> None:
    await assert_appended("user.registered", times=0)
    user = await welcomed(container)
    with pytest.raises(AssertionError, match=rf"0 messages of a.topic .* there is: user.registered .*{user.id}"):
        await assert_appended("a.topic")
    with pytest.raises(AssertionError, match=r"0 messages of user.registered with {'user_id': '1'} wait, not 1"):
        await assert_appended("user.registered", {"user_id": "1"})
    with pytest.raises(AssertionError, match=r"1 messages of user.registered with {} wait, not 2"):
        await assert_appended("user.registered", times=2)
