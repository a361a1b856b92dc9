"""How this project opens its database: the test kit calls it with the options of a test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.models import Base
from unitwork import Database, DatabaseOptions


@asynccontextmanager
async def open_database(options: DatabaseOptions | str) -> AsyncIterator[Database]:
    async with Database(options, node_id=7) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield database
