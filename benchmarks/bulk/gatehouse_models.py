"""Ourselves: `dao.add_many` of models, which get their ids, stamps and defaults."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.bulk.measured import insert_measured
from benchmarks.http.peers.gatehouse import Account, Container
from containers import running
from settings import Settings
from unitwork.models import SYSTEM, acting_as


@asynccontextmanager
async def opened(url: str, rows: int) -> AsyncIterator[Callable[[], Coroutine[Any, Any, object]]]:
    given = [Account(email=f"account{n}@example.com", display_name=f"Account {n}") for n in range(1, rows + 1)]
    settings = Settings(database={"url": url}, node_id=1)
    async with running(Container(settings=settings)) as container:
        accounts, transaction = container.account_dao(), container.transaction()
        await accounts.count().rows()

        async def insert() -> object:
            with acting_as(SYSTEM):
                async with transaction():
                    return await accounts.add_many(given)

        yield insert


if __name__ == "__main__":
    insert_measured(opened)
