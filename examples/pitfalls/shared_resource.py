"""A session as a Resource, closed by Closing: one session for everybody, and a commit for the call that raised.

People write it because dependency-injector's Resource looks like a fixture: open, yield, close. But a Resource is one
object per container, not per call. Two calls at the same time get the same session. The first one that ends commits
and closes it under the other, whose own end finds nothing to close and raises TypeError. And a Resource is never told
of an exception: what follows its `yield` commits the work of a call that failed.

Gatehouse's container hands out a session *provider*, never a session. Each `transaction()` has a session of its own,
and its end sees the exception. Endpoints need no wiring for it: see app/api/dependencies.py.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide, inject  # noqa: TID251 - it is the pitfall
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from containers import Container, running
from settings import Settings


class Base(DeclarativeBase):
    """Keeps this page's table apart from the accounts."""


class Note(Base):
    __tablename__ = "pitfall_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@dataclass(frozen=True)
class Seen:
    answers: list[str]
    """Of three calls: a bad one alone, then a bad one and a good one at the same time."""
    sessions: int
    """How many sessions the last two had."""
    stored: list[str]


class Visit:
    """What every call does with its session: write, wait until all the calls are there, and fail or not."""

    def __init__(self, calls: int) -> None:
        self.everybody = asyncio.Barrier(calls)
        self.sessions: list[AsyncSession] = []

    async def note(self, session: AsyncSession, text: str) -> str:
        self.sessions.append(session)
        session.add(Note(text=text))
        await self.everybody.wait()
        if text.startswith("bad"):
            raise ValueError(text)
        return "done"


async def open_session(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session
        await session.commit()


class TutorialContainer(containers.DeclarativeContainer):
    engine = providers.Dependency(instance_of=AsyncEngine)
    sessions = providers.Singleton(async_sessionmaker, engine)
    session = providers.Resource(open_session, sessions)


@inject
async def tutorial_endpoint(visit: Visit, text: str, session: AsyncSession = Closing[Provide["session"]]) -> str:
    return await visit.note(session, text)


async def broken(settings: Settings) -> Seen:
    async with empty_table(settings) as engine:
        container = TutorialContainer(engine=engine)
        container.wire(modules=[__name__])
        try:
            answers, sessions = await three_calls(tutorial_endpoint)
        finally:
            container.unwire()
        return Seen(answers, sessions, await stored(engine))


async def right(settings: Settings) -> Seen:
    async with empty_table(settings) as engine, running(Container(settings=settings)) as container:
        transaction = container.transaction()

        async def endpoint(visit: Visit, text: str) -> str:
            async with transaction() as tx:
                return await visit.note(tx.session, text)

        answers, sessions = await three_calls(endpoint)
        return Seen(answers, sessions, await stored(engine))


async def three_calls(endpoint: Callable[[Visit, str], Awaitable[str]]) -> tuple[list[str], int]:
    alone, together = Visit(1), Visit(2)
    first = await asyncio.gather(endpoint(alone, "bad, alone"), return_exceptions=True)
    then = await asyncio.gather(endpoint(together, "bad, together"), endpoint(together, "good"), return_exceptions=True)
    answers = [answer if isinstance(answer, str) else type(answer).__name__ for answer in (*first, *then)]
    return answers, len(set(together.sessions))


@asynccontextmanager
async def empty_table(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The table, and an engine of plain SQLAlchemy on its database."""
    engine = create_async_engine(settings.database.url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield engine
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
    finally:
        await engine.dispose()


async def stored(engine: AsyncEngine) -> list[str]:
    """What another connection sees."""
    async with engine.connect() as connection:
        return sorted(await connection.scalars(select(Note.text)))


async def main(settings: Settings) -> None:
    print("broken:", await broken(settings))
    print("right: ", await right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/notes.db"
        asyncio.run(main(Settings(database={"url": url})))
