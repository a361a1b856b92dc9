"""asyncio.gather over one session: the work of the task that failed is committed by the one that didn't.

People write it to do two things at once. But a session is one unit of work with one list of pending objects, and
`gather` makes a task of each coroutine. One task adds its rows and fails; the other one commits, and with its own rows
those of the first. Nothing is raised; only when two statements happen to overlap does SQLAlchemy or the driver notice.

Give each task a `transaction()` of its own. Gatehouse's sessions belong to the task that opened them: in another one
they raise SessionBelongsToAnotherTask, overlapping or not.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from containers import Container, running
from settings import Settings
from unitwork import TransactionProvider


class Base(DeclarativeBase):
    """Keeps this page's table apart from the accounts."""


class Note(Base):
    __tablename__ = "pitfall_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


@dataclass(frozen=True)
class Seen:
    answers: list[str]
    """Of the order that is refused, and of the one that isn't."""
    stored: list[str]


async def pay(text: str, both: asyncio.Barrier) -> None:
    """Stands for a call to another system, which refuses one of the two."""
    await both.wait()
    if text == "refused":
        raise ValueError(text)


async def order(session: AsyncSession, text: str, both: asyncio.Barrier) -> str:
    session.add(Note(text=text))
    await pay(text, both)
    await session.commit()
    return "done"


async def broken(settings: Settings) -> Seen:
    async with empty_table(settings) as engine:
        sessions, both = async_sessionmaker(engine), asyncio.Barrier(2)
        async with sessions() as session:
            answers = await asyncio.gather(
                order(session, "refused", both), order(session, "paid", both), return_exceptions=True
            )
        return Seen(said(answers), await stored(engine))


async def order_with_gatehouse(transaction: TransactionProvider, text: str, both: asyncio.Barrier) -> str:
    async with transaction() as tx:
        tx.session.add(Note(text=text))
        await pay(text, both)
    return "done"


async def right(settings: Settings) -> Seen:
    async with empty_table(settings) as engine, running(Container(settings=settings)) as container:
        transaction, both = container.transaction(), asyncio.Barrier(2)
        answers = await asyncio.gather(
            order_with_gatehouse(transaction, "refused", both),
            order_with_gatehouse(transaction, "paid", both),
            return_exceptions=True,
        )
        return Seen(said(answers), await stored(engine))


async def refused(settings: Settings) -> Seen:
    """The broken code, on a session of Gatehouse's."""
    async with empty_table(settings) as engine, running(Container(settings=settings)) as container:
        both = asyncio.Barrier(2)
        async with container.transaction()() as tx:
            answers = await asyncio.gather(
                order(tx.session, "refused", both), order(tx.session, "paid", both), return_exceptions=True
            )
        return Seen(said(answers), await stored(engine))


def said(answers: Iterable[str | BaseException]) -> list[str]:
    return [answer if isinstance(answer, str) else type(answer).__name__ for answer in answers]


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
    print("broken: ", await broken(settings))
    print("refused:", await refused(settings))
    print("right:  ", await right(settings))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        url = sys.argv[1] if sys.argv[1:] else f"sqlite:///{folder}/notes.db"
        asyncio.run(main(Settings(database={"url": url})))
