"""A publisher that keeps what it is given, and a welcome to send."""

from collections.abc import Sequence

from containers import Container
from domain import OutboxMessage, User
from services.messaging.publisher import BrokerUnavailable
from unitwork.models import SYSTEM, acting_as


class MemoryPublisher:
    """`down` makes it unavailable."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.down = False

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        if self.down:
            raise BrokerUnavailable("ConnectionRefusedError")
        self.published += [message.id for message in messages]


async def welcomed(container: Container, email: str = "ada@example.com") -> User:
    """An account, and in its transaction the message that has it welcomed."""
    with acting_as(SYSTEM):
        return await container.user_service().register({"email": email, "display_name": "Ada"})
