"""A session out of a generator that is left half-way: the commit after its `yield` never runs, and nobody is told.

People know the generator from tutorials: it yields a session and commits afterwards. As a dependency of FastAPI it is
run to its end. In a loop of one's own, `async for session in get_session():`, a `break`, a `return` or an exception
leaves it where it stands. Python hands it to the event loop, which closes it in another task some time later; the
commit is skipped and the session is closed, perhaps under a call of whoever goes on using it.

With Gatehouse a block ends in the task that entered it, or is torn down: what was done in it is rolled back with a
warning that names its line, its session is refused from then on, and what the same task does next is a unit of its own
that is stored. Write `async with transaction():`; where it has to be a generator, make it a context manager.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from containers import Container, running
from domain import User
from settings import Settings
from unitwork.errors import SessionEnded
from unitwork.models import SYSTEM, acting_as


@dataclass(frozen=True)
class Seen:
    answer: str
    """What the caller was told."""
    stored: list[str]
    """The accounts that are there afterwards."""


async def broken(settings: Settings) -> Seen:
    engine = create_async_engine(settings.database.url)

    async def get_session() -> AsyncGenerator[AsyncSession, None]:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            yield session
            await session.commit()

    async def register(email: str) -> str:
        async for session in get_session():
            session.add(account(1, email))
            await session.flush()
            return "stored"
        return "never reached"

    try:
        answer = await register("ada@example.com")
        await asyncio.sleep(0.1)  # the event loop closes the generator meanwhile
        return Seen(answer, await accounts(settings))
    finally:
        await engine.dispose()


async def right(settings: Settings) -> Seen:
    async with running(Container(settings=settings)) as container:
        users = container.user_dao()

        @asynccontextmanager
        async def unit() -> AsyncIterator[AsyncSession]:
            async with container.transaction()() as tx:
                yield tx.session

        async def register(email: str) -> str:
            async with unit():
                await users.add(account(1, email))
                return "stored"

        with acting_as(SYSTEM):
            answer = await register("ada@example.com")
    return Seen(answer, await accounts(settings))


async def refused(settings: Settings) -> Seen:
    """The broken code, over Gatehouse's sessions: what comes after it is told, and what is answered is stored."""
    async with running(Container(settings=settings)) as container:
        users = container.user_dao()

        async def get_session() -> AsyncGenerator[AsyncSession, None]:
            async with container.session_provider()() as session:
                yield session

        async def register(email: str) -> AsyncSession:
            async for session in get_session():
                session.add(account(1, email))
                await session.flush()
                return session
            raise AssertionError

        answer = "not told"
        with acting_as(SYSTEM):
            session = await register("ada@example.com")
            await users.add(account(2, "grace@example.com"))  # joins nothing: the block above was left
            try:
                await session.flush()
            except SessionEnded as error:
                answer = type(error).__name__
    return Seen(answer, await accounts(settings))


def account(id: int, email: str) -> User:
    """An account that needs no container's ids."""
    user = User.create({"email": email})
    user.id = id
    return user


async def accounts(settings: Settings) -> list[str]:
    """Whose accounts are stored."""
    async with running(Container(settings=settings)) as container:
        return [str(user.email) for user in await container.user_dao().query().order_by("email").all()]


async def no_accounts(settings: Settings) -> None:
    """An empty table of accounts."""
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        with acting_as(SYSTEM):
            await container.user_dao().delete().all_rows().execute()


async def main(settings: Settings) -> None:
    for name, way in {"broken": broken, "refused": refused, "right": right}.items():
        await no_accounts(settings)
        with acting_as(SYSTEM):
            print(f"{name + ':':<8}", await way(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/accounts.db"
        asyncio.run(main(Settings(database={"url": url})))
