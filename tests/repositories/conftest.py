"""The subject of the conformance tests."""

from collections.abc import Iterator

import pytest

from domain import SYSTEM, acting_as
from tests.fakes import over_fakes
from tests.repositories.conformance import Subject


@pytest.fixture
def subject(backend: str, request: pytest.FixtureRequest) -> Subject:
    """A container over memory, or a running one over this test's database."""
    container = over_fakes()[0] if backend == "memory" else request.getfixturevalue("container")
    return Subject(backend, container)


@pytest.fixture
def acting() -> Iterator[None]:
    """Every write of the test is SYSTEM's."""
    with acting_as(SYSTEM):
        yield
