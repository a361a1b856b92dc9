"""Publisher: whoever carries a message from the outbox to the workers."""

from collections.abc import Sequence
from typing import Protocol

from domain.outbox_message import OutboxMessage


class BrokerUnavailable(Exception):
    """The broker took none of these messages, or only some: what it took may arrive twice, which does no harm."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)

    def __str__(self) -> str:
        return f"the broker can't be reached ({self.kind}). Messages wait in the outbox; start it, or check its URL."


class Publisher(Protocol):
    """Hands messages to a broker. Publishing one twice must do no harm beyond the work."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """Return once the broker has all of them. Raises `BrokerUnavailable` otherwise."""
        ...
