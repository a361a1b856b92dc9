"""A body that is streamed from a closed session: every row arrives, and the connection is gone for good.

People write it because `return StreamingResponse(rows(session))` looks like the end of the work. It is the beginning:
the generator runs after the endpoint has returned and its block has closed the session. SQLAlchemy opens a closed
session again when it is used, and nobody closes it a second time. Each download takes one connection out of the pool,
until the last one is gone and everybody waits.

With Gatehouse the query of a DAO streams in a unit of its own, from the first row to the last, and no session is
passed around; one whose block has ended is refused. Close the generator where it is consumed, as ClosingStream does:
when a client leaves early Starlette drops it half-way, and leaves it to the garbage collector.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx2
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import QueuePool, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from starlette.types import Send

from containers import Container, running
from domain import User
from repositories import UserDao
from settings import Settings
from unitwork.errors import TransactionError
from unitwork.models import SYSTEM, acting_as

SMALL: Final[dict[str, Any]] = {"pool_size": 2, "max_overflow": 0, "pool_timeout": 0.1}
"""A pool that is soon empty, and visitors that don't wait for long (0.1 s)."""


@dataclass(frozen=True)
class Seen:
    downloads: list[int]
    """How many rows each of two visitors got."""
    in_use: int
    """Connections that are out of the pool when both are gone."""
    next_status: int
    """What the next visitor is answered."""


def tutorial_app(sessions: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> FastAPI:
    app = FastAPI()

    async def addresses(session: AsyncSession) -> AsyncGenerator[str, None]:
        async for address in await session.stream_scalars(select(User.email)):
            yield f"{address}\n"

    @app.get("/download")
    async def download() -> StreamingResponse:
        async with sessions() as session:
            return StreamingResponse(addresses(session))

    @app.get("/count")
    async def count() -> int:
        async with sessions() as session:
            return await session.scalar(select(func.count()).select_from(User)) or 0

    return app


class ClosingStream(StreamingResponse):
    """Closes its rows in any case, in the task that fetched them."""

    def __init__(self, rows: AsyncGenerator[str, None]) -> None:
        super().__init__(rows)
        self.rows = rows

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.rows):
            await super().stream_response(send)


def gatehouse_app(container: Container) -> FastAPI:
    app = FastAPI()

    async def addresses(users: UserDao) -> AsyncGenerator[str, None]:
        async with aclosing(users.query().stream()) as rows:
            async for user in rows:
                yield f"{user.email}\n"

    @app.get("/download")
    async def download() -> StreamingResponse:
        return ClosingStream(addresses(container.user_dao()))

    @app.get("/count")
    async def count() -> int:
        return await container.user_dao().count().rows()

    return app


async def broken(settings: Settings) -> Seen:
    engine = create_async_engine(settings.database.url, **SMALL)
    opened: list[AsyncSession] = []  # keeps them from the garbage collector, whose time nobody knows

    def session() -> AsyncSession:
        opened.append(AsyncSession(engine))
        return opened[-1]

    try:
        return await three_visitors(tutorial_app(session), engine)
    finally:
        for left in opened:
            await left.close()
        await engine.dispose()


async def right(settings: Settings) -> Seen:
    small = settings.model_copy(update={"database": settings.database.model_copy(update=SMALL)})
    async with running(Container(settings=small)) as container:
        return await three_visitors(gatehouse_app(container), container.engine())


async def refused(settings: Settings) -> str:
    """The broken application, over Gatehouse's sessions."""
    async with running(Container(settings=settings)) as container:
        app = tutorial_app(container.session_provider())
        try:
            async with visitor(app, raise_app_exceptions=True) as client:
                return (await client.get("/download")).text
        except TransactionError as error:
            return type(error).__name__


async def three_visitors(app: FastAPI, engine: AsyncEngine) -> Seen:
    """Two download, one after the other; the third one asks for the count."""
    async with visitor(app) as client:
        downloads = [await client.get("/download") for _ in range(2)]
        pool = engine.pool
        in_use = pool.checkedout() if isinstance(pool, QueuePool) else 0
        answer = await client.get("/count")
    return Seen([len(download.text.splitlines()) for download in downloads], in_use, int(answer.status_code))


def visitor(app: FastAPI, *, raise_app_exceptions: bool = False) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=raise_app_exceptions)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


async def three_accounts(settings: Settings) -> None:
    """In the database's accounts, unless there are any."""
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        if not await container.user_dao().query().exists():
            with acting_as(SYSTEM):
                for name in ("ada", "alan", "grace"):
                    await container.user_service().create({"email": f"{name}@example.com"})


async def main(settings: Settings) -> None:
    await three_accounts(settings)
    print("broken: ", await broken(settings))
    print("refused:", await refused(settings))
    print("right:  ", await right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/accounts.db"
        asyncio.run(main(Settings(database={"url": url})))
