"""A running container with the two small tables, and its transaction."""

import pytest

from containers import Container
from database import TransactionProvider
from tests.database.tables import create_tables


@pytest.fixture
def database_mode() -> str:
    """How transactions begin and end is tried with real ones."""
    return "own"


@pytest.fixture
async def with_tables(container: Container) -> Container:
    await create_tables(container)
    return container


@pytest.fixture
async def transaction(with_tables: Container) -> TransactionProvider:
    return with_tables.transaction()
