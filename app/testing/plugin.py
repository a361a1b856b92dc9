"""Hooks for `unitwork.testing`: migrate a database by the project's container; find servers by its variables."""

import os
from functools import partial
from pkgutil import resolve_name
from typing import Any, Final

import pytest

from app.testing.given_settings import GivenSettings
from app.testing.isolated import CONTAINERS
from unitwork.testing import MARIADB_URL, POSTGRESQL_URL
from unitwork.testing.plugin import KIT, Kit

SERVERS: Final = {
    "GATEHOUSE_TEST_POSTGRESQL_URL": POSTGRESQL_URL,
    "GATEHOUSE_TEST_MARIADB_URL": MARIADB_URL,
}
"""Environment variables that name a server: the service's, and the library's that each is copied to."""
PREFIX: Final = "gatehouse_test_"
"""Prefix of the databases that tests create and drop; others are left alone."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("gatehouse_containers", "The module with `Container` and `running`.", default=CONTAINERS)
    parser.addini("gatehouse_app", "What makes the HTTP application of a container.", default="app.api:create_app")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    for ours, the_librarys in SERVERS.items():
        if os.environ.get(ours):
            os.environ.setdefault(the_librarys, os.environ[ours])
    config.stash[KIT] = Kit(partial(migrate, config.getini("gatehouse_containers")), PREFIX)


async def migrate(containers: str, url: str) -> None:
    """Migrate an empty database to the newest revision, by the container of the module."""
    page: Any = resolve_name(containers)
    settings = GivenSettings.model_validate({"database": {"url": url}})
    async with page.running(page.Container(settings=settings)) as container:
        await container.schema().upgrade()
