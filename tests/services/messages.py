"""A publisher that keeps what it is given, and a welcome to send."""

from collections.abc import Sequence

from containers import Container
from domain import OutboxMessage, User
from services.messaging.handlers import Handler
from services.messaging.inbox_service import InboxService, Retries
from services.messaging.publisher import BrokerUnavailable
from unitwork.models import SYSTEM, acting_as

TOPIC = "test.effect"


class MemoryPublisher:
    """`down` makes it unavailable."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.down = False

    async def publish(self, messages: Sequence[OutboxMessage]) -> None:
        if self.down:
            raise BrokerUnavailable("ConnectionRefusedError")
        self.published += [message.id for message in messages]


def service_with(container: Container, handler: Handler, retries: Retries) -> InboxService:
    """A service whose one handler is of the topic `test.effect`."""
    daos = container.outbox_dao(), container.inbox_dao(), container.job_dao()
    return InboxService(container.transaction(), *daos, {TOPIC: handler}, retries)


async def welcomed(container: Container, email: str = "ada@example.com") -> User:
    """An account, and in its transaction the message that has it welcomed."""
    with acting_as(SYSTEM):
        return await container.user_service().register({"email": email, "display_name": "Ada"})
