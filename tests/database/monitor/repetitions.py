"""Twenty ways of asking for many things one by one. In each, the line to be found ends in `# here`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from sqlalchemy import func, select, text

from containers import Container
from domain import User
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.work import work

TIMES = 12


class Planted(NamedTuple):
    """What a shape works with: a container with accounts in it."""

    container: Container
    ids: list[int]


async def loop_over_get(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await dao.get(number)  # here


async def loop_over_get_or_none(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()():
        for number in planted.ids:
            await dao.get_or_none(number)  # here


async def comprehension(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        [await dao.get(number) for number in planted.ids]  # here


async def first_by_column(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await dao.query().eq("id", number).first()  # here


async def existence(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await dao.query().eq("id", number).exists()  # here


async def count_for_each(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await dao.count().eq("created_by", number).rows()  # here


async def rows_for_each(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for _ in planted.ids:
            await dao.query().eq("created_by", SYSTEM).all()  # here


async def refresh(planted: Planted) -> None:
    async with planted.container.transaction()() as tx:
        users = (await tx.session.scalars(select(User))).all()
        for user in users:
            await tx.session.refresh(user)  # here


async def expired_attributes(planted: Planted) -> None:
    async with planted.container.transaction()() as tx:
        users = (await tx.session.scalars(select(User))).all()
        tx.session.expire_all()

        def emails(_: Any) -> list[str | None]:
            return [user.email for user in users]  # here

        await tx.session.run_sync(emails)


async def core_select(planted: Planted) -> None:
    async with planted.container.session_provider()() as session:
        for number in planted.ids:
            await session.execute(select(User.email).where(User.id == number))  # here


async def scalar_of_text(planted: Planted) -> None:
    async with planted.container.session_provider()(read_only=True) as session:
        for number in planted.ids:
            await session.scalar(text("SELECT email FROM users WHERE id = :id"), {"id": number})  # here


async def literals_in_text(planted: Planted) -> None:
    async with planted.container.session_provider()(read_only=True) as session:
        for number in planted.ids:
            await session.execute(text(f"SELECT email FROM users WHERE id = {number}"))  # here


async def aggregate(planted: Planted) -> None:
    async with planted.container.session_provider()(read_only=True) as session:
        for number in planted.ids:
            await session.scalar(select(func.max(User.version)).where(User.id == number))  # here


async def in_a_function(planted: Planted) -> None:
    dao = planted.container.user_dao()

    async def email_of(number: int) -> str | None:
        return (await dao.get(number)).email  # here

    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await email_of(number)


async def with_pauses(planted: Planted) -> None:
    dao = planted.container.user_dao()
    async with planted.container.transaction()(read_only=True):
        for number in planted.ids:
            await asyncio.sleep(0)
            await dao.get(number)  # here
            await asyncio.sleep(0)


async def generator(planted: Planted) -> None:
    dao = planted.container.user_dao()

    async def users() -> Any:
        for number in planted.ids:
            yield await dao.get(number)  # here

    async with planted.container.transaction()(read_only=True):
        async for _ in users():
            pass


async def lone_reads_of_a_request(planted: Planted) -> None:
    dao = planted.container.user_dao()
    with work("request"):
        for number in planted.ids:
            await dao.get(number)  # here


async def tasks_of_a_request(planted: Planted) -> None:
    dao = planted.container.user_dao()

    async def one(number: int) -> None:
        await dao.get(number)  # here

    with work("request"):
        await asyncio.gather(*(one(number) for number in planted.ids))


async def transactions_of_a_request(planted: Planted) -> None:
    dao = planted.container.user_dao()
    transaction = planted.container.transaction()
    with work("request"):
        for number in planted.ids:
            async with transaction(read_only=True):
                await dao.get(number)  # here


async def serialiser(planted: Planted) -> None:
    container = planted.container

    class Body:
        def __init__(self, user: User) -> None:
            self.user = user

        async def dump(self) -> dict[str, Any]:
            by = await container.user_dao().query().eq("created_by", self.user.id).all()  # here
            return {"id": self.user.id, "created": len(by)}

    with work("request"):
        users = await container.user_dao().query().all()
        [await Body(user).dump() for user in users]


SHAPES: list[Callable[[Planted], Awaitable[None]]] = [
    loop_over_get,
    loop_over_get_or_none,
    comprehension,
    first_by_column,
    existence,
    count_for_each,
    rows_for_each,
    refresh,
    expired_attributes,
    core_select,
    scalar_of_text,
    literals_in_text,
    aggregate,
    in_a_function,
    with_pauses,
    generator,
    lone_reads_of_a_request,
    tasks_of_a_request,
    transactions_of_a_request,
    serialiser,
]


async def plant(container: Container) -> Planted:
    """Accounts enough to be asked for one by one."""
    with acting_as(SYSTEM):
        async with container.transaction()():
            dao = container.user_dao()
            users = [User.create({"email": f"{number}@example.com"}) for number in range(TIMES)]
            await dao.add_many(users) if hasattr(dao, "add_many") else [await dao.add(user) for user in users]
        return Planted(container, [user.id for user in await dao.query().all()])
