"""An isolated test sees what one with real commits sees, or is told that it can't."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from containers import Container, running
from database.testing import NeedsOwnDatabase, isolated
from database.testing.databases import Databases
from settings import Settings
from tests.testing import boundary_cases, commit_cases
from tests.testing.cases import Case
from tests.testing.tables import create_tables

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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_case_gives_the_same_isolated_or_needs_its_own(case: Case, backend: str, databases: Databases) -> None:
    expected = case.gives[backend] if isinstance(case.gives, dict) else case.gives
    own = databases.create(backend)
    assert await result_of(case, running(built(own))) == expected
    databases.drop(own)
    here = isolated(built(databases.shared(backend)))
    if case.needs_own:
        with pytest.raises(NeedsOwnDatabase, match=r'Give the test real commits: `@pytest.mark.database\("own"\)`'):
            await result_of(case, here)
    else:
        assert await result_of(case, here) == expected


def test_the_table_has_cases_of_both_kinds() -> None:
    assert len(CASES) >= 20
    assert {case.needs_own for case in CASES} == {True, False}
