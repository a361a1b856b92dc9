"""The zoo on a database: where each specimen is read and written by a DAO, and by a plain session."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any, Final

import pytest
from sqlalchemy import Select, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from settings import DatabaseSettings
from tests.repositories.specimens import OF_POSTGRESQL, SPECIMENS, Specimen
from tests.repositories.zoo import ZooBase
from tests.repositories.zoo_postgresql import PostgresqlZooBase
from unitwork import Transaction
from unitwork.connections.engine import build_engine
from unitwork.dao import BaseDao
from unitwork.dao.statements.selection import primary_key
from unitwork.errors import TransactionRolledBack
from unitwork.models.soft_delete import INCLUDE_DELETED
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases
from unitwork.testing.servers.postgresql import apart

BACKENDS: Final = ["sqlite", "postgresql", *(["mariadb"] if mariadb_server.named() else [])]
on_databases: Final = [
    pytest.mark.parametrize("backend", BACKENDS, indirect=True),
    pytest.mark.usefixtures("acting"),
    pytest.mark.database("own"),
]
ROWS: Final = 3


class Zoo:
    """The specimens of one database."""

    def __init__(self, container: Container, specimens: Sequence[Specimen]) -> None:
        self.container = container
        self.specimens = specimens

    def dao(self, specimen: Specimen) -> BaseDao[Any]:
        return BaseDao(self.container.session_provider(), specimen.model)

    def plain(self) -> AsyncSession:
        """A session of SQLAlchemy's own."""
        return AsyncSession(self.container.engine(), expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction of ours of which nothing stays."""
        with suppress(TransactionRolledBack):
            async with self.container.transaction()() as tx:
                yield tx
                tx.set_rollback_only()

    @asynccontextmanager
    async def undone(self) -> AsyncIterator[AsyncSession]:
        """A plain session of which nothing stays."""
        async with self.plain() as session:
            yield session
            await session.rollback()

    async def rows(self, specimen: Specimen) -> list[Any]:
        """What a plain session reads."""
        async with self.plain() as session:
            return list((await session.scalars(ordered(specimen))).all())

    async def refer(self) -> None:
        """Store what rows refer to."""
        async with self.plain() as session:
            for specimen in self.specimens:
                if specimen.before is not None:
                    await session.merge(specimen.before())
            await session.commit()

    async def store(self, specimens: Iterable[Specimen]) -> None:
        """Their rows, by a plain session."""
        async with self.plain() as session:
            for specimen in specimens:
                for number in range(ROWS):
                    session.add(specimen.row(number))
                    await session.flush()
                    session.expunge_all()  # rows may be of one identity
            await session.commit()

    async def empty(self, specimen: Specimen) -> None:
        """Leave no row of it, but what others refer to."""
        async with self.plain() as session:
            for mapper in specimen.model.__mapper__.iterate_to_root():
                await session.execute(delete(mapper.local_table))
            await session.commit()
        await self.refer()


def ordered(specimen: Specimen) -> Select[Any]:
    """All rows, by their key."""
    keys = [getattr(specimen.model, key) for key in primary_key(specimen.model)]
    return select(specimen.model).order_by(*keys).execution_options(**{INCLUDE_DELETED: True})


@pytest.fixture(scope="session")
def zoo_urls(databases: Databases) -> Callable[[str], str]:
    """One database of each kind for all tests of the zoo: its tables take longer to make than a test."""

    @cache
    def url_of(backend: str) -> str:
        url = databases.create(backend)

        async def make() -> None:
            engine = build_engine(DatabaseSettings.model_validate({"url": url}))
            async with engine.begin() as connection:
                if backend == "postgresql":
                    await connection.execute(text("CREATE SCHEMA zoo"))
                    await connection.run_sync(PostgresqlZooBase.metadata.create_all)
                await connection.run_sync(ZooBase.metadata.create_all)
            await engine.dispose()

        apart(make)
        return url

    return url_of


@pytest.fixture
def database_url(zoo_urls: Callable[[str], str], backend: str) -> str:
    """The zoo's."""
    return zoo_urls(backend)


@pytest.fixture
async def zoo(container: Container, backend: str) -> Zoo:
    """Without a row but those that rows refer to."""
    zoo = Zoo(container, [*SPECIMENS, *(OF_POSTGRESQL if backend == "postgresql" else [])])
    bases = [ZooBase, *([PostgresqlZooBase] if backend == "postgresql" else [])]
    async with zoo.plain() as session:
        for table in (table for base in bases for table in reversed(base.metadata.sorted_tables)):
            await session.execute(delete(table))
        await session.commit()
    await zoo.refer()
    return zoo
