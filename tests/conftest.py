"""What every test of ours may ask for besides the kit's fixtures (`app.testing`): an admin, and HTTP as one."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from containers import Container
from domain import Role
from settings import Settings
from settings.passwords import PasswordSettings
from settings.rate_limits import RateLimitSettings
from tests.faults.fixtures import _private_server, pair, private_postgresql, private_settings  # noqa: F401 - fixtures
from tests.faults.replicated import _replicated_pair, replicated  # noqa: F401 - fixtures
from tests.faults.tls_postgresql import asking_server, certificates, tls_server  # noqa: F401 - fixtures
from tests.matrix import matrix
from tests.thorough import mark_thorough
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.findings.finding import REPEATED

ROOT = Path(__file__).parent.parent
CHEAP_PASSWORDS = PasswordSettings(time_cost=1, memory_cost=8, parallelism=1, max_waiting=100_000)
LARGEST_NODE = 4095
REPEATING_NOTHING = (ROOT / "tests/services", ROOT / "tests/app/api")
FIGURE = "figure"
"""The property (`record_property`) under which a test tells what it measured, to be printed at the end of the run."""


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_thorough(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = terminalreporter.stats.get("passed", ())
    for line in matrix(report.nodeid for report in passed):
        terminalreporter.write_line(line)
    for report in passed:
        for name, value in report.user_properties:
            if name == FIGURE:
                terminalreporter.write_line(value)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Services and HTTP read nothing one by one (N+1), as far as their tests go; elsewhere tests plant that."""
    yield
    container = getattr(item, "funcargs", {}).get("container")
    if container is not None and any(item.path.is_relative_to(folder) for folder in REPEATING_NOTHING):
        found = container.sql_monitor().findings.latest(REPEATED)
        assert not found, "\n".join(finding.text for finding in found)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads this machine's settings, or leaves files in the project."""
    for name in list(os.environ):
        if (name.startswith("GATEHOUSE_") and not name.startswith("GATEHOUSE_TEST_")) or name in {
            "DATABASE_URL",
            "REDIS_URL",
            "PORT",
            "LOG_LEVEL",
        }:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Hashes that cost nothing, no rate limits, and a node that needs no lease: tests of those bring their own."""
    off = dict.fromkeys(RateLimitSettings().rates, "off")
    return settings.model_copy(
        update={
            "passwords": CHEAP_PASSWORDS,
            "rate_limits": RateLimitSettings.model_validate(off),
            "node_id": LARGEST_NODE,  # no lease is taken of it before every smaller one
        }
    )


@pytest.fixture
async def admin_token(container: Container) -> str:
    with acting_as(SYSTEM):
        admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
        _, secret = await container.auth_service().issue(admin.id)
    return secret


@pytest.fixture
async def client(app: FastAPI, admin_token: str) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP in this process, as an admin."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"Authorization": f"Bearer {admin_token}"}
    ) as client:
        yield client
