"""Work that goes on after a request was answered: it starts with the commit, and has a transaction of its own."""

import asyncio

from app.background import BackgroundTasks
from containers import running
from unitwork.models import SYSTEM, acting_as


async def main() -> None:
    async with running() as container, BackgroundTasks() as background:

        async def tell() -> None:
            print(f"{await container.user_dao().count().rows()} account")

        with acting_as(SYSTEM):
            async with container.transaction()():
                await container.user_service().create({"email": "guest@example.com"})
                background.start("tell", tell)
                print("not yet committed")
    # Leaving the block has waited for it.
    print(f"{background.counts['done']} done")


if __name__ == "__main__":
    asyncio.run(main())
