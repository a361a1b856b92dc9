"""Abandonments: units whose block is not left where it was entered, over a pool of two, beside those who do it right.

    campaign = Abandonments(container, FORMS["break"], seed=7)
    await campaign.run(200)
    await campaign.problems()        # empty is what a test wants

A form opens a block and lets go of it: a generator left by `break`, a context manager that is dropped, an exit stack
that another task closes. What it did inside counts as never done. What the same task does afterwards, and what
bystanders do meanwhile, must be stored once it was answered, or be refused.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from containers import Container
from domain import User
from tests.faults.waiting import until
from unitwork.errors import CommitOutcomeUnknown, DatabaseError, SessionBelongsToAnotherTask, TransactionRolledBack
from unitwork.models import SYSTEM, acting_as

LONGEST_PAUSE: Final = 0.003
"""Seconds between what a misuser does; half of the pauses are none."""
BYSTANDERS: Final = 2


class LeftBehind(Exception):
    """What a misuser raises out of its loop."""


@dataclass
class Misuse:
    """One run of a form."""

    container: Container
    chance: random.Random
    number: int
    user: int
    held: list[Any] = field(default_factory=list)
    """Kept until the run is over."""

    @property
    def name(self) -> str:
        """The account's name inside the block."""
        return f"inside {self.number}"

    async def pause(self) -> None:
        """For a random time, or none."""
        if self.chance.random() < 0.5:
            await asyncio.sleep(self.chance.uniform(0, LONGEST_PAUSE))

    async def inside(self, session: AsyncSession, *, write: bool = True) -> None:
        """Something on the block's session, or by a DAO that joins it."""
        users = self.container.user_dao()
        match self.chance.randrange(4):
            case 0:
                await users.get(self.user)
            case 1:
                await session.execute(select(User.id).limit(1))
            case 2 if write:
                await users.add(User.create({"email": f"inside-{self.number}@example.com"}))
            case _ if write:
                await users.update().eq("id", self.user).set(display_name=self.name).execute()
            case _:
                await session.execute(text("SELECT 1"))
        await self.pause()

    async def sessions(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """The generator that many know from FastAPI's tutorials."""
        async with self.container.session_provider()(read_only=read_only) as session:
            yield session

    async def transactions(self) -> AsyncIterator[AsyncSession]:
        """The same over `transaction()`."""
        async with self.container.transaction()() as tx:
            yield tx.session

    @asynccontextmanager
    async def managed(self) -> AsyncIterator[AsyncSession]:
        """A context manager made of a generator."""
        async with self.container.transaction()() as tx:
            yield tx.session


Form = Callable[[Misuse], Awaitable[object]]


async def left_by_raise(misuse: Misuse) -> None:
    with suppress(LeftBehind):
        async for session in misuse.sessions():
            await misuse.inside(session)
            raise LeftBehind


async def left_by_break(misuse: Misuse) -> None:
    async for session in misuse.sessions():
        await misuse.inside(session)
        break


async def left_by_return(misuse: Misuse) -> None:
    async for session in misuse.sessions():
        await misuse.inside(session)
        return


async def never_continued(misuse: Misuse) -> None:
    generator = misuse.sessions()
    await misuse.inside(await anext(generator))


async def read_only_left_by_break(misuse: Misuse) -> None:
    async for session in misuse.sessions(read_only=True):
        await misuse.inside(session, write=False)
        break


async def transaction_left_by_raise(misuse: Misuse) -> None:
    with suppress(LeftBehind):
        async for session in misuse.transactions():
            await misuse.inside(session)
            raise LeftBehind


async def generator_in_a_generator(misuse: Misuse) -> None:
    async def outer() -> AsyncIterator[AsyncSession]:
        async for session in misuse.sessions():
            yield session

    async for session in outer():
        await misuse.inside(session)
        break


async def manager_dropped(misuse: Misuse) -> None:
    manager = misuse.container.session_provider()()
    await misuse.inside(await manager.__aenter__())


async def transaction_dropped(misuse: Misuse) -> None:
    manager = misuse.container.transaction()()
    await misuse.inside((await manager.__aenter__()).session)


async def made_manager_dropped(misuse: Misuse) -> None:
    manager = misuse.managed()
    await misuse.inside(await manager.__aenter__())


async def stack_dropped(misuse: Misuse) -> None:
    stack = AsyncExitStack()
    await misuse.inside(await stack.enter_async_context(misuse.container.session_provider()()))


async def stack_of_another_task(misuse: Misuse) -> None:
    """The other task closes it while this one is at work."""
    stack = AsyncExitStack()
    session = await stack.enter_async_context(misuse.managed())
    await misuse.inside(session)
    closing = asyncio.create_task(stack.aclose())
    with suppress(DatabaseError):
        await misuse.inside(session)
        await misuse.inside(session)
    with suppress(SessionBelongsToAnotherTask, TransactionRolledBack):
        await closing


async def ended_in_a_task_group(misuse: Misuse) -> None:
    manager = misuse.container.transaction()()
    session = (await manager.__aenter__()).session
    with suppress(*(DatabaseError, BaseExceptionGroup)):
        async with anyio.create_task_group() as group:
            group.start_soon(manager.__aexit__, None, None, None)
            await misuse.inside(session)


async def cancelled_meanwhile(misuse: Misuse) -> None:
    async def work() -> None:
        async for session in misuse.sessions():
            await misuse.inside(session)
            await misuse.inside(session)
            break
        await misuse.container.user_dao().get(misuse.user)

    task = asyncio.create_task(work())
    await asyncio.sleep(misuse.chance.uniform(0, 2 * LONGEST_PAUSE))
    task.cancel()
    await asyncio.wait([task])


async def savepoint_left_by_break(misuse: Misuse) -> None:
    from unitwork import Propagation

    async def nested() -> AsyncIterator[AsyncSession]:
        async with misuse.container.transaction()(Propagation.NESTED) as tx:
            yield tx.session

    with suppress(DatabaseError):
        async with misuse.container.transaction()():
            async for session in nested():
                await misuse.inside(session)
                break


async def joined_left_by_break(misuse: Misuse) -> None:
    with suppress(DatabaseError):
        async with misuse.container.transaction()():
            async for session in misuse.transactions():
                await misuse.inside(session)
                break
            await misuse.pause()


FORMS: Final[dict[str, Form]] = {
    form.__name__: form
    for form in (
        left_by_raise,
        left_by_break,
        left_by_return,
        never_continued,
        read_only_left_by_break,
        transaction_left_by_raise,
        generator_in_a_generator,
        manager_dropped,
        transaction_dropped,
        made_manager_dropped,
        stack_dropped,
        stack_of_another_task,
        ended_in_a_task_group,
        cancelled_meanwhile,
        savepoint_left_by_break,
        joined_left_by_break,
    )
}


class Abandonments:
    """One form over one container, and its bystanders."""

    def __init__(self, container: Container, form: Form, *, seed: int, guarded: bool = True) -> None:
        self._container = container
        self._form = form
        self._chance = random.Random(seed)
        self._guarded = guarded
        self._seed = seed
        self._runs = 0
        self._wrong: list[str] = []
        self._refused = 0
        self._names: dict[int, set[str]] = {}
        """What each account may be called: the last name that was answered, and what was on its way."""
        self._added: set[str] = set()
        self._answers = 0

    def __str__(self) -> str:
        return (
            f"seed {self._seed}: {self._runs} units of '{self._form.__name__}', {self._refused} later calls refused, "
            f"{self._answers} answers of bystanders"
        )

    async def run(self, count: int) -> None:
        """So many runs, one after the other, beside the bystanders."""
        with acting_as(SYSTEM):
            accounts = [await self._account(f"account-{number}") for number in range(BYSTANDERS + 1)]
            over = asyncio.Event()
            bystanders = [asyncio.create_task(self._bystander(account, over)) for account in accounts[1:]]
            for number in range(count):
                await asyncio.create_task(self._misuser(number, accounts[0]))
            over.set()
            await asyncio.gather(*bystanders)

    async def problems(self) -> list[str]:
        """Errors of bystanders, answered work that isn't stored, connections and transactions left open."""
        wrong = list(self._wrong)
        pool: Any = self._container.engine().pool
        if not await until(lambda: not pool.checkedout(), within=5.0):
            wrong.append(f"{pool.checkedout()} connections are held")
        engine = create_async_engine(self._container.settings().database.url)
        try:
            async with engine.connect() as connection:
                stored = dict((await connection.execute(select(User.id, User.display_name))).all())
                emails = set((await connection.execute(select(User.email))).scalars())
                if engine.dialect.name == "postgresql":
                    idle = await connection.scalar(
                        text(
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                            " AND state LIKE 'idle in transaction%'"
                        )
                    )
                    wrong += [f"{idle} backends idle in transaction"] if idle else []
        finally:
            await engine.dispose()
        wrong += [
            f"account {account} is called {stored.get(account)!r}, not {names}"
            for account, names in self._names.items()
            if stored.get(account) not in names
        ]
        wrong += [f"{email} was answered and is missing" for email in self._added - emails]
        if self._guarded:
            wrong += [f"{email} is stored" for email in emails if str(email).startswith("inside-")]
        return wrong

    async def _account(self, name: str) -> int:
        user = await self._container.user_dao().add(
            User.create({"email": f"{name}@example.com", "display_name": "new"})
        )
        self._names[user.id] = {"new"}
        return user.id

    async def _bystander(self, account: int, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                await self._work(account, f"{account} {number}")
            except Exception as error:
                if self._guarded:
                    self._wrong.append(f"bystander: {type(error).__name__}: {error}")
            self._answers += 1
            await asyncio.sleep(self._chance.uniform(0, LONGEST_PAUSE))

    async def _misuser(self, number: int, account: int) -> None:
        self._runs += 1
        misuse = Misuse(self._container, self._chance, number, account)
        if not self._guarded:
            self._names[account] |= {misuse.name}  # whoever leaves the block normally commits it
        with nullcontext() if self._guarded else suppress(Exception):
            await self._form(misuse)
        await misuse.pause()
        for part in range(self._chance.randrange(1, 3)):
            try:
                await self._work(account, f"later {number} {part}")
            except Exception as error:
                self._refused += 1
                if self._guarded and not isinstance(error, DatabaseError):
                    raise
            await misuse.pause()

    async def _work(self, account: int, name: str) -> None:
        """A write that is answered, by one of the ways there are."""
        users = self._container.user_dao()
        match self._chance.randrange(4):
            case 0:
                email = f"{name.replace(' ', '-')}@example.com"
                await users.add(User.create({"email": email}))
                self._added.add(email)
            case 1:
                async with self._naming(account, name), self._container.transaction()():
                    await users.update().eq("id", account).set(display_name=name).execute()
                    await users.get(account)
            case 2:
                async with self._naming(account, name), self._container.session_provider()() as session:
                    user = await session.get_one(User, account)
                    user.display_name = name
            case _:
                async with self._naming(account, name):
                    assert await users.update().eq("id", account).set(display_name=name).execute() == 1

    @asynccontextmanager
    async def _naming(self, account: int, name: str) -> AsyncIterator[None]:
        before = self._names[account]
        self._names[account] = before | {name}
        try:
            yield
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, CommitOutcomeUnknown):
                self._names[account] = before
            raise
        self._names[account] = {name}
