"""A `yield` dependency that commits: the client is told 200, and then the commit fails.

FastAPI ends a `yield` dependency after the response was sent, so this commit runs when nobody listens any more. A
unique value that another request took, a deferred constraint, a serialisation failure, a lost connection: the server
logs a stack, the client has its 200, and no row is stored. A flush in the endpoint finds only some of these. Here it
does flush, and a deferred foreign key fails at the COMMIT. On SQLite it gets worse: SQLAlchemy gives the connection
back with the refused transaction still open, and so loses the next request, which was good, in the same way.

With Gatehouse the block ends, and commits, in the endpoint (as a rule in a service, which the endpoint calls). Its
error comes before the answer, the client gets a 409, and the next request finds a clean connection.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx2
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, event, func, insert, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.api import create_app
from app.api.access import Access, access_table
from app.api.dependencies import ContainerDep
from containers import Container, running
from settings import Settings


class Base(DeclarativeBase):
    """Keeps this page's tables apart from the accounts."""


class Order(Base):
    __tablename__ = "pitfall_orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Line(Base):
    __tablename__ = "pitfall_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[int] = mapped_column(ForeignKey(Order.id, deferrable=True, initially="DEFERRED"))


@dataclass(frozen=True)
class Seen:
    statuses: list[int]
    """What the client was told: of a line of an order that isn't there, then of a line of one that is."""
    stored: int
    """How many lines there are."""


def tutorial_app(engine: AsyncEngine) -> FastAPI:
    app, sessions = FastAPI(), async_sessionmaker(engine)

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session
            await session.commit()

    @app.post("/orders/{order}/lines")
    async def add_line(order: int, session: Annotated[AsyncSession, Depends(get_session)]) -> str:
        session.add(Line(order=order))
        await session.flush()
        return "stored"

    return app


def gatehouse_app(container: Container) -> FastAPI:
    app = create_app(container)
    access_table(app).add("POST /orders/{order}/lines", Access.ANYONE)

    @app.post("/orders/{order}/lines")
    async def add_line(order: int, container: ContainerDep) -> str:
        async with container.transaction()() as tx:
            tx.session.add(Line(order=order))
            await tx.session.flush()
        return "stored"

    return app


async def broken(settings: Settings) -> Seen:
    async with no_lines(settings) as look, tutorial_engine(settings) as engine:
        return Seen(await two_lines(tutorial_app(engine)), await stored(look))


async def right(settings: Settings) -> Seen:
    async with no_lines(settings) as look, running(Container(settings=settings)) as container:
        return Seen(await two_lines(gatehouse_app(container)), await stored(look))


async def two_lines(app: FastAPI) -> list[int]:
    """What a client is told. What the application raises goes to the server's log, not to the client."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return [int((await client.post(f"/orders/{order}/lines")).status_code) for order in (404, 1)]


@asynccontextmanager
async def tutorial_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(settings.database.url)
    if settings.database.embedded:
        event.listen(engine.sync_engine, "connect", count_foreign_keys)
    try:
        yield engine
    finally:
        await engine.dispose()


def count_foreign_keys(connection: DBAPIConnection, _record: object) -> None:
    """SQLite passes foreign keys over until it is told not to. Gatehouse tells it."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@asynccontextmanager
async def no_lines(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The tables, with order 1, and another engine on their database, to look into it."""
    engine = create_async_engine(settings.database.url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(insert(Order).values(id=1))
        yield engine
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
    finally:
        await engine.dispose()


async def stored(look: AsyncEngine) -> int:
    async with look.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(Line)) or 0


async def main(settings: Settings) -> None:
    print("broken:", await broken(settings))
    print("right: ", await right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/orders.db"
        asyncio.run(main(Settings(database={"url": url})))
