"""Publisher: the protocol of sending outbox messages to the workers."""

from collections.abc import Sequence
from typing import Protocol

from domain.outbox_message import OutboxMessage


class BrokerUnavailable(Exception):
    """The broker accepted none or only some of these messages. Repeating all of them is safe."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)

    def __str__(self) -> str:
        return f"the broker can't be reached ({self.kind}). Messages wait in the outbox; start it, or check its URL."


class BrokerRefused(BrokerUnavailable):
    """The broker refuses the credentials, permissions or virtual host. At start that is hopeless; later it is waited
    for.
    """

    def __str__(self) -> str:
        return (
            f"the broker refuses this user, its permissions or its virtual host ({self.kind}). Messages wait in the "
            "outbox; correct GATEHOUSE_WORKER__BROKER_URL, or what the broker grants."
        )


class Publisher(Protocol):
    """Sends messages to a broker. Repeating a message must be harmless."""

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        """Send the messages. Returns when the broker has all of them; raises `BrokerUnavailable` otherwise."""
        ...
