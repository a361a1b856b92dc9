"""An isolated test sees what one with real commits sees, or is told that it can't."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import make_url

from app.testing import isolated
from containers import Container, running
from settings import Settings
from tests.testing import boundary_cases, commit_cases
from tests.testing.cases import Case
from tests.testing.tables import create_tables
from unitwork.testing import NeedsOwnDatabase
from unitwork.testing.servers import mariadb_server
from unitwork.testing.servers.databases import Databases
from unitwork.testing.servers.postgresql import apart

CASES = [*commit_cases.table.cases, *boundary_cases.table.cases]


async def result_of(case: Case, opened: AbstractAsyncContextManager[Container]) -> Any:
    async with opened as container:
        await create_tables(container)
        try:
            return await case.run(container)
        finally:
            assert container.schema().connections_in_use == 0


def built(url: str) -> Container:
    return Container(settings=Settings(database={"url": url}))


@pytest.fixture
def urls(databases: Databases, backend: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """One to store into, and one that nothing is ever stored in; on MariaDB they have the tables already."""
    if backend == "mariadb":
        own, shared = request.getfixturevalue("mariadb_with_tables")
        yield own, shared
        mariadb_server.empty(make_url(own).database or "")
    else:
        own = databases.create(backend)
        yield own, databases.shared(backend)
        databases.drop(own)


@pytest.fixture(scope="session")
def mariadb_with_tables(databases: Databases) -> tuple[str, str]:
    """Two of them, as MariaDB commits when a table is made."""

    async def make(url: str) -> None:
        async with running(built(url)) as container:
            await create_tables(container)

    own, shared = databases.create("mariadb"), databases.create("mariadb")
    for url in (own, shared):
        apart(partial(make, url))
    return own, shared


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_case_gives_the_same_isolated_or_needs_its_own(case: Case, backend: str, urls: tuple[str, str]) -> None:
    expected = case.gives[backend] if isinstance(case.gives, dict) else case.gives
    own, shared = urls
    assert await result_of(case, running(built(own))) == expected
    here = isolated(built(shared))
    if case.needs_own:
        with pytest.raises(NeedsOwnDatabase, match=r'Give the test real commits: `@pytest.mark.database\("own"\)`'):
            await result_of(case, here)
    else:
        assert await result_of(case, here) == expected


def test_the_table_has_cases_of_both_kinds() -> None:
    assert len(CASES) >= 20
    assert {case.needs_own for case in CASES} == {True, False}
