"""One engine in two event loops: the second `asyncio.run` meets connections of the first.

People write it because the engine is made at the top of a module, and `asyncio.run` is called in each of several
places: a command, a Celery task, a test. But a connection belongs to the loop it was opened in, and so does the queue
of the pool. With asyncpg the first statement in the second loop fails, with one of several errors, none of which names
the cause. aiosqlite hides it as long as no call has to wait for the pool; then that call fails.

One container is one lifetime and one loop: open it in each, `async with running() as container:`. One that is used in
another loop while it runs raises EngineBelongsToAnotherLoop.
"""

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from containers import Container, running
from settings import Settings
from unitwork.errors import EngineBelongsToAnotherLoop


@dataclass(frozen=True)
class Seen:
    first: list[str]
    """What two calls at the same time got in the first loop: the 1 they selected, or an error."""
    second: list[str]
    """What they got in the second loop."""


async def two_calls(engine: AsyncEngine) -> list[str]:
    async def call() -> str:
        async with engine.connect() as connection:
            return str(await connection.scalar(select(1)))

    return said(await asyncio.gather(call(), call(), return_exceptions=True))


def broken(settings: Settings) -> Seen:
    # The smallest pool: two calls keep it busy.
    engine = create_async_engine(settings.database.url, pool_size=1, max_overflow=0)
    # `asyncio.run(x)` is a Runner's `run(x)`. These two stay open, so that the engine can be disposed of.
    with asyncio.Runner() as first, asyncio.Runner() as second:
        try:
            return Seen(first.run(two_calls(engine)), second.run(two_calls(engine)))
        finally:
            first.run(engine.dispose())


async def two_calls_with_gatehouse(settings: Settings) -> list[str]:
    async with running(Container(settings=settings)) as container:
        return said(await asyncio.gather(call(container), call(container), return_exceptions=True))


async def call(container: Container) -> str:
    async with container.session_provider()(read_only=True) as session:
        return str(await session.scalar(select(1)))


def right(settings: Settings) -> Seen:
    return Seen(asyncio.run(two_calls_with_gatehouse(settings)), asyncio.run(two_calls_with_gatehouse(settings)))


async def refused(settings: Settings) -> str:
    """A running container, in the loop of another thread."""
    async with running(Container(settings=settings)) as container:
        try:
            return await asyncio.to_thread(asyncio.run, call(container))
        except EngineBelongsToAnotherLoop as error:
            return str(error)


def said(answers: Iterable[str | BaseException]) -> list[str]:
    return [answer if isinstance(answer, str) else type(answer).__name__ for answer in answers]


def main(settings: Settings) -> None:
    print("broken: ", broken(settings))
    print("refused:", asyncio.run(refused(settings)))
    print("right:  ", right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/empty.db"
        main(Settings(database={"url": url}))
