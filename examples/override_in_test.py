"""A test that puts its own parts into the graph: fakes that keep rows in memory, and a session provider that counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from domain import User
from domain.errors import EmailTaken
from repositories import UserDao
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao


class InMemoryUsers(InMemoryDao[User], UserDao):
    """Everything a UserDao can do, its own methods too, over rows in memory."""


async def without_a_database() -> None:
    """Sessions and DAOs are fakes: no engine is opened, and a service does all it does over a database."""
    container, sessions = Container(), FakeSessionProvider()
    container.session_provider.override(sessions)
    container.user_dao.override(InMemoryUsers(sessions))

    users = container.user_service()  # resolved after the overrides, so it has them
    with acting_as(SYSTEM):
        ada = await users.create({"email": "ada@example.com"})
        await users.update(ada.id, {"display_name": "Ada Lovelace"}, version=1)
        with suppress(EmailTaken):  # the fake keeps the model's constraints
            await users.create({"email": "ADA@example.com"})
    # What is committed, and `sessions.outcomes`: (committed, committed, rolled back).
    print(*(user.display_name for user in sessions.committed(User)))


async def with_a_database() -> None:
    """Any callable of this signature is a session provider: here one that counts, around the container's own."""
    async with running() as container:
        opened = 0
        provider = container.session_provider()

        @asynccontextmanager
        async def counting(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
            nonlocal opened
            opened += 1
            async with provider(autoflush=autoflush, read_only=read_only) as session:
                yield session

        with container.session_provider.override(counting):
            await container.user_service().list()
        await container.user_service().list()  # no longer overridden
        print(f"{opened} session")


if __name__ == "__main__":
    asyncio.run(without_a_database())
    asyncio.run(with_a_database())
