"""A message that follows a commit, and the effect that it has once, however often it is delivered."""

import asyncio

from containers import Container, running
from domain import OutboxMessage
from services.messaging.inbox_service import InboxService
from unitwork.models import SYSTEM, acting_as

TOPIC = "example.promote"


async def main() -> None:
    async with running() as container:
        with acting_as(SYSTEM):
            async with container.transaction()():
                user = await container.user_service().create({"email": "guest@example.com"})
                message = await container.outbox_service().append(TOPIC, {"user_id": str(user.id)})
            inbox = inbox_of(container)
            print(await inbox.handle(message.id))
            print(await inbox.handle(message.id))
        print((await container.user_service().get(user.id)).display_name)


def inbox_of(container: Container) -> InboxService:
    """What a worker runs; an application adds its handler to `message_handlers` in containers.py."""

    async def promote(message: OutboxMessage) -> None:
        async with container.transaction()():
            if await container.inbox_dao().take(message.id):
                await container.user_service().update(int(message.payload["user_id"]), {"display_name": "Guest"})

    outbox = container.settings().outbox
    handlers = {TOPIC: promote}
    return InboxService(container.outbox_dao(), handlers, outbox.max_attempts, outbox.backoff, outbox.backoff_max)


if __name__ == "__main__":
    asyncio.run(main())
