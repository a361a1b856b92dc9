"""Accounts that the repository tests write and find again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, text

from containers import Container
from domain import User
from unitwork.models import SYSTEM, acting_as
from unitwork.unit import UNIT, Unit


def account(email: str | None = "ann@example.com", **values: Any) -> User:
    """An account without the domain's rules, so that a test can have any value in a column."""
    return User(email=email, email_key=None if email is None else email.casefold(), **values)


async def store(container: Container, rows: Sequence[User]) -> Sequence[User]:
    """Store them in one transaction, by SYSTEM."""
    with acting_as(SYSTEM):
        return await container.user_dao().add_many(rows)


async def store_named(container: Container, *names: str | None) -> Sequence[User]:
    """One account for each display name, in this order."""
    return await store(
        container, [account(f"user{number}@example.com", display_name=name) for number, name in enumerate(names)]
    )


async def stored(container: Container, statement: str) -> Sequence[RowMapping]:
    """What another connection sees, which takes no writer's place on SQLite."""
    reader = Unit(read_only=True)
    reader.enter("a test", parent=None)
    engine = container.engine().execution_options(**{UNIT: reader})
    async with engine.connect() as connection:
        return (await connection.execute(text(statement))).mappings().all()
