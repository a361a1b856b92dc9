"""Databases besides the test's own, and logs as they were."""

import logging
from collections.abc import Iterator

import pytest

from unitwork.testing.servers.databases import Databases


@pytest.fixture
def unmigrated_url(databases: Databases, backend: str) -> Iterator[str]:
    """A database without a single table."""
    url = databases.create(backend, migrated=False)
    yield url
    databases.drop(url)


@pytest.fixture
def other_url(databases: Databases, backend: str) -> Iterator[str]:
    """A second migrated database, empty."""
    url = databases.create(backend)
    yield url
    databases.drop(url)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back as it was: `configure_logs` replaces its handlers."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
