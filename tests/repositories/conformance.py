"""The same container over memory, SQLite, PostgreSQL and, where there is one, MariaDB. What holds for one must hold for
all.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest

from containers import Container
from domain import User
from repositories import UserDao
from tests.repositories.accounts import account
from tests.repositories.shelves import ShelfBase
from unitwork import TransactionProvider
from unitwork.dao import BaseDao
from unitwork.models import SYSTEM, Base, acting_as
from unitwork.testing.fakes import InMemoryDao
from unitwork.testing.servers import mariadb_server

T = TypeVar("T", bound=Base)

on_all: Final = pytest.mark.parametrize(
    "backend", ["memory", "sqlite", "postgresql", *(["mariadb"] if mariadb_server.named() else [])], indirect=True
)
"""For a module of tests that take `subject`."""


@dataclass(frozen=True)
class Subject:
    """What is looked at."""

    backend: str
    container: Container

    @property
    def users(self) -> UserDao:
        return self.container.user_dao()

    @property
    def transaction(self) -> TransactionProvider:
        return self.container.transaction()

    @property
    def in_memory(self) -> bool:
        return self.backend == "memory"

    def dao(self, model: type[T]) -> BaseDao[T]:
        """A DAO of any model."""
        provider = self.container.session_provider()
        return InMemoryDao(provider, model) if self.in_memory else BaseDao(provider, model)

    async def with_shelves(self) -> None:
        """Make the tables of shelves, books and leaves."""
        if not self.in_memory:
            async with self.container.engine().begin() as connection:
                await connection.run_sync(ShelfBase.metadata.create_all)

    async def named(self, *names: str | None, **values: Any) -> list[User]:
        """One stored account for each display name, in this order."""
        rows = [account(f"user{number}@example.com", display_name=name, **values) for number, name in enumerate(names)]
        with acting_as(SYSTEM):
            return list(await self.users.add_many(rows))

    async def add(self, name: str) -> None:
        """Store an account of this name and an address made of it."""
        await self.users.add(account(f"{name}@example.com", display_name=name))

    async def names(self) -> list[str | None]:
        """What is stored for everybody, by id; each call is a read of its own."""
        return await self.users.query(include_deleted=True).scalars("display_name")
