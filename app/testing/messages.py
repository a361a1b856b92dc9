"""Messages in tests: what was appended, and its delivery without a broker."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from domain import OutboxMessage
from services.messaging.inbox_service import Handled
from unitwork.models import SYSTEM, acting_as

WELL: Final = frozenset({Handled.HANDLED, Handled.HANDED_OVER})
MOST: Final = 1000
"""Deliveries after which messages that append messages are taken for endless."""


class Delivered(NamedTuple):
    """A delivery: the message's topic and its outcome."""

    topic: str
    outcome: Handled


async def deliver_due(container: Any, *, may_fail: bool = False, within: timedelta | None = None) -> list[Delivered]:
    """Deliver the messages that are due, as a relay and a worker do, and those that they append; return the outcomes.

    Delayed messages, and those whose pause after a failure runs, are left. A delivery that fails is an AssertionError,
    with the message's own reason, unless it `may_fail`. `within` is the workers' soft time limit, after half of which
    a handler in steps hands over.
    """
    delivered: list[Delivered] = []
    inbox = container.inbox_service()
    collected = _Collected()
    with acting_as(SYSTEM), container.publisher.override(collected):
        relay = container.outbox_relay()
        while await relay.relay():
            for message in collected.taken():
                outcome = await inbox.handle(message.id, within=within)
                delivered.append(Delivered(message.topic, outcome))
                if outcome not in WELL and not may_fail:
                    raise AssertionError(await _why(container, message, outcome))
                if len(delivered) >= MOST:
                    msg = f"{MOST} messages were delivered, and more are due; the last is of {message.topic}"
                    raise AssertionError(msg)
    return delivered


async def assert_appended(
    container: Any, topic: str, payload: Mapping[str, Any] | None = None, *, times: int = 1
) -> Sequence[OutboxMessage]:
    """Assert that as many messages of the topic wait, whose payloads have at least these values; return them, oldest
    first. `times=0` asserts that none does. One that was delivered waits no longer.
    """
    waiting = await container.outbox_dao().query().order_by("id").limit(MOST).all()
    wanted = dict(payload or {})
    found = [one for one in waiting if one.topic == topic and wanted.items() <= one.payload.items()]
    if len(found) != times:
        there = ", ".join(f"{one.topic} {one.payload}" for one in waiting) or "nothing"
        msg = f"{len(found)} messages of {topic} with {wanted} wait, not {times}; there is: {there}"
        raise AssertionError(msg)
    return found


class _Collected:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self._messages: list[OutboxMessage] = []

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        self._messages += messages

    def taken(self) -> list[OutboxMessage]:
        taken, self._messages = self._messages, []
        return taken


async def _why(container: Any, message: OutboxMessage, outcome: Handled) -> str:
    kept = await container.outbox_dao().get_or_none(message.id)
    reason = "it is done" if kept is None else kept.why_not_done()
    return f"the message of {message.topic} was delivered, and is {outcome}: {reason}"
