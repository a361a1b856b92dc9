"""A test that puts its own parts into the graph: a DAO without a database, and a session provider that counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from containers import running
from domain import User


class OneUser:
    """A DAO as far as the test needs one."""

    async def get(self, user_id: int, *, include_deleted: bool = False) -> User:
        return User(id=user_id, email="ada@example.com", display_name="Ada Lovelace")


async def main() -> None:
    async with running() as container:
        # A DAO: the services resolved inside the block get it. No database is asked.
        with container.user_dao.override(OneUser()):
            print((await container.user_service().get(1)).display_name)

        # A session provider: any callable of this signature is one.
        sessions = 0
        provider = container.session_provider()

        @asynccontextmanager
        async def counting(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
            nonlocal sessions
            sessions += 1
            async with provider(autoflush=autoflush, read_only=read_only) as session:
                yield session

        with container.session_provider.override(counting):
            await container.user_service().list()
        await container.user_service().list()  # no longer overridden
        print(f"{sessions} session")


if __name__ == "__main__":
    asyncio.run(main())
