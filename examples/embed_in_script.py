"""A script that embeds the accounts service: the whole graph in five lines."""

import asyncio

from containers import running
from unitwork.models import SYSTEM, acting_as


async def main() -> None:
    async with running() as container:
        with acting_as(SYSTEM):
            user = await container.user_service().create({"email": "guest@example.com"})
        print((await container.user_service().get(user.id)).email)


if __name__ == "__main__":
    asyncio.run(main())
