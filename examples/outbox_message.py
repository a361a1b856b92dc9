"""A message that follows a commit, and the effect that it has once, however often it is delivered."""

import asyncio

from dependency_injector import providers

from containers import Container, running
from domain import OutboxMessage
from services.messaging.handlers import exactly_once
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

    @exactly_once
    async def promote(message: OutboxMessage) -> None:
        await container.user_service().update(int(message.payload["user_id"]), {"display_name": "Guest"})

    with container.message_handlers.override(providers.Object({TOPIC: promote})):
        return container.inbox_service()


if __name__ == "__main__":
    asyncio.run(main())
