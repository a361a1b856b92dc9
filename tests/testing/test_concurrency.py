"""Isolated tests beside each other on one database: they never meet, and leave nothing. The figures are printed."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from app.testing import isolated
from containers import Container, running
from domain import User
from settings import Settings
from tests.conftest import FIGURE, ROOT
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

TESTS = 200
AT_ONCE = 40
"""A server has 100 connections, unless told otherwise."""
TRUNCATED = 50
"""Enough to say what one takes."""


async def one_test(database: dict[str, object], number: int, inside: set[int], pause: float) -> int:
    """Commits three times, and must see its own two accounts only. The number of tests beside it at its end."""
    async with isolated(Container(settings=Settings(database=database))) as container:
        users, dao = container.user_service(), container.user_dao()
        with acting_as(SYSTEM):
            await users.create({"email": f"first{number}@example.com"})
            inside.add(number)
            await asyncio.sleep(pause)
            async with container.transaction()():
                second = await dao.add(User(email=f"{number}@b.c", email_key=f"{number}@b.c"))
            await users.update(second.id, {"display_name": "Second"}, version=1)
        beside = len(inside)
        found = await dao.query().order_by("id").all()
        inside.remove(number)
        assert [user.email for user in found] == [f"first{number}@example.com", f"{number}@b.c"]
        assert [user.display_name for user in found] == [None, "Second"]
        return beside


async def test_200_tests_at_once_see_their_own_rows_and_leave_none(
    backend: str, databases: Databases, record_property: Callable[[str, object], None]
) -> None:
    url = databases.create(backend)
    database = {"url": url, "connect_timeout": 60.0}  # forty connect at once, on one core
    gate, inside = asyncio.Semaphore(AT_ONCE), set[int]()

    async def in_its_turn(number: int) -> int:
        async with gate:
            return await one_test(database, number, inside, pause=0.02 if backend == "postgresql" else 0)

    started = time.perf_counter()
    beside = await asyncio.gather(*(in_its_turn(number) for number in range(TESTS)))
    took = time.perf_counter() - started
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        assert await container.user_dao().count(include_deleted=True).rows() == 0
    databases.drop(url)
    # SQLite has one writer: there each waits for the one before.
    assert max(beside) > 1 if backend == "postgresql" else max(beside) == 1
    figure = f"{backend}: {TESTS} isolated tests in one process in {took:.1f} s, up to {max(beside)} at once"
    record_property(FIGURE, figure)


SUITE = """
import pytest
from unitwork.models import SYSTEM, acting_as

@pytest.mark.parametrize("number", range({tests}))
async def test_an_account(container, number):
    with acting_as(SYSTEM):
        user = await container.user_service().create({{"email": f"n{{number}}@example.com"}})
    assert [found.id for found in await container.user_dao().query().all()] == [user.id]
"""
CONFTEST = """
import json, os, time
from collections import Counter
from pathlib import Path
import pytest
from containers import Container, running
from unitwork.testing.servers.postgresql import apart
from settings import Settings

TESTS, SECONDS, URLS = Counter(), Counter(), {}

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    backend, started = item.callspec.params["backend"], time.perf_counter()
    try:
        return (yield)
    finally:
        TESTS[backend] += 1
        SECONDS[backend] += time.perf_counter() - started

@pytest.fixture(autouse=True)
def noted(database_url, backend):
    URLS.setdefault(backend, set()).add(database_url)

async def rows_left(url):
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        return await container.user_dao().count(include_deleted=True).rows()

def pytest_sessionfinish(session):
    rows = {backend: sum(apart(lambda: rows_left(url)) for url in urls) for backend, urls in URLS.items()}
    urls = {backend: len(urls) for backend, urls in URLS.items()}
    if URLS:
        told = {"tests": TESTS, "seconds": SECONDS, "databases": urls, "rows left": rows}
        (Path(os.environ["REPORT"]) / str(os.getpid())).write_text(json.dumps(told))
"""
TRUNCATING = """
from sqlalchemy import text
from unitwork.models import Base

MADE = {}

@pytest.fixture
def database_url(databases, backend):
    if backend not in MADE:
        MADE[backend] = databases.create(backend)
    return MADE[backend]

@pytest.fixture
async def container(settings, backend):
    async with running(Container(settings=settings)) as container:
        yield container
        tables = [table.name for table in reversed(Base.metadata.sorted_tables)]
        async with container.engine().begin() as connection:
            if backend == "postgresql":
                await connection.execute(text(f"TRUNCATE {', '.join(tables)}"))
            else:
                for table in tables:
                    await connection.execute(text(f"DELETE FROM {table}"))
"""


def ran(folder: Path, tests: int, conftest: str) -> dict[str, Counter[str]]:
    """For each backend its tests, databases and rows left, and the seconds its tests took, of both workers."""
    report = folder / "report"
    report.mkdir(parents=True)
    (folder / "test_generated.py").write_text(SUITE.format(tests=tests), encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "REPORT": str(report)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{2 * tests} passed", done.stdout, flags=re.MULTILINE)
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for path in report.iterdir():
        for figure, of_backends in json.loads(path.read_text(encoding="utf-8")).items():
            total[figure].update(of_backends)
    return total


@pytest.mark.timeout(480)
def test_200_tests_on_two_workers_leave_nothing_and_are_timed_against_truncating(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    kit = ran(tmp_path / "isolated", TESTS, CONFTEST)
    truncating = ran(tmp_path / "truncating", TRUNCATED, CONFTEST + TRUNCATING)
    for figures, tests in ((kit, TESTS), (truncating, TRUNCATED)):
        assert figures["tests"] == {"sqlite": tests, "postgresql": tests}
        assert figures["databases"] == {"sqlite": 2, "postgresql": 2}
        assert figures["rows left"] == {"sqlite": 0, "postgresql": 0}
    for backend in kit["seconds"]:
        ours, theirs = (figures["seconds"][backend] / figures["tests"][backend] * 1000 for figures in (kit, truncating))
        each = (
            f"isolated {ours:.1f} ms each, truncating between tests {theirs:.1f} ms: {theirs / ours:.1f} times as long"
        )
        record_property(FIGURE, f"{backend}: {TESTS} tests on 2 workers, {each}")
