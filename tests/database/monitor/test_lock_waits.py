"""Who waits for a lock, and for whom: told in time, with their lines, and of nobody who waits for none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.util import await_only

from containers import Container, running
from settings import Settings
from tests.conftest import FIGURE
from tests.database.monitor.test_watch import line_of, the
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.findings.finding import LOCK_WAIT
from unitwork.monitor.findings.lock_waits import QUERY_AGAIN_AFTER_SECONDS

THRESHOLD = 0.4
CANARY = "c4n4ry"
HERE = "tests/database/monitor/test_lock_waits.py"
UPDATE = f"UPDATE users SET display_name = '{CANARY}' WHERE email_key = :key"
KEY = f"{CANARY}@example.com"

pytestmark = [pytest.mark.database("own"), pytest.mark.parametrize("backend", ["postgresql"], indirect=True)]


@pytest.fixture(autouse=True)
async def _account(container: Container) -> None:
    container.sql_monitor().thresholds.lock_wait = THRESHOLD
    with acting_as(SYSTEM):
        await container.user_service().create({"email": KEY})


async def waits(container: Container, name: str = "waits") -> None:
    async with container.transaction()(name=name) as tx:
        await tx.session.execute(text(UPDATE), {"key": KEY})  # waits


async def processes(container: Container) -> int:
    """The server's, that work for the test's database."""
    async with container.session_provider()(read_only=True) as session:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(await session.scalar(text(asked)) or 0)


@asynccontextmanager
async def stranger(settings: Settings) -> AsyncIterator[int]:
    """Someone who isn't the container's holds the row: the server's process."""
    url = make_url(str(settings.database.url)).set(drivername="postgresql")
    connection: Any = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        async with connection.transaction():
            await connection.execute("UPDATE users SET display_name = $1 WHERE email_key = $2", CANARY, KEY)
            yield connection.get_server_pid()
    finally:
        await connection.close()


async def test_a_lock_wait_names_the_line_that_waits_and_who_holds_the_lock(
    container: Container, caplog: pytest.LogCaptureFixture, record_property: Any
) -> None:
    async with container.transaction()(name="holds") as tx:  # opened
        await tx.session.execute(text(UPDATE), {"key": KEY})
        waiter = asyncio.create_task(waits(container))
        finding = await the(container, LOCK_WAIT)  # holds
        assert finding.open
    await waiter
    facts = finding.facts
    record_property(FIGURE, f"lock wait: threshold {THRESHOLD} s, waited {facts['waited']} s when it was reported")
    assert facts["waited"] >= THRESHOLD
    assert facts["transaction"] == "waits"
    assert facts["statement"] == "UPDATE users SET display_name = ? WHERE email_key = ?"
    assert facts["call_site"] == f"{HERE}:{line_of(waits, 'waits')}"
    (holder,) = facts["blocked_by"]
    name = test_a_lock_wait_names_the_line_that_waits_and_who_holds_the_lock
    assert holder["transaction"] == "holds"
    assert holder["opened_at"] == f"{HERE}:{line_of(name, 'opened')}"
    assert holder["call_site"].startswith("tests/database/monitor/test_watch.py:"), "in `the`, which it awaits"
    assert holder["state"] == "idle in transaction"
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("lock wait")]
    assert holder["opened_at"] in line
    assert facts["call_site"] in line
    assert CANARY not in caplog.text + str(finding.as_facts())
    async with asyncio.timeout(5):
        while finding.open:  # noqa: ASYNC110 - the end of a wait is no event
            await asyncio.sleep(0.005)
    assert container.sql_monitor().findings.counts[LOCK_WAIT] == 1
    assert container.sql_monitor().errors.total() == 0


async def test_a_stranger_who_holds_the_lock_is_a_process_and_its_state_though_the_pool_is_full(
    container: Container, settings: Settings
) -> None:
    small = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0, "lock_wait_threshold": THRESHOLD})
    async with (
        stranger(settings) as pid,
        running(Container(settings=settings.model_copy(update={"database": small}))) as full,
    ):
        waiter = asyncio.create_task(full.user_dao().update().eq("email_key", KEY).set(display_name="x").execute())
        finding = await the(full, LOCK_WAIT)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert full.sql_monitor().pools.state().waits == 0
    assert finding.facts["blocked_by"] == [{"pid": pid, "state": "idle in transaction"}]
    assert f"process {pid} (idle in transaction)" in finding.text
    assert CANARY not in str(finding.as_facts())


async def test_a_statement_that_is_slow_by_itself_waits_for_no_lock(container: Container) -> None:
    before = await processes(container)
    async with container.transaction()(name="slow") as tx:
        await tx.session.execute(
            text("SELECT pg_sleep(:seconds)"), {"seconds": THRESHOLD + QUERY_AGAIN_AFTER_SECONDS + 0.3}
        )
    assert container.sql_monitor().findings.counts[LOCK_WAIT] == 0
    assert container.sql_monitor().errors.total() == 0
    assert not any("pg_stat_activity AS waiter" in shape.fingerprint.text for shape in container.sql_monitor().shapes)
    async with asyncio.timeout(5):
        while await processes(container) > before:  # noqa: ASYNC110 - the server tells of no end
            await asyncio.sleep(0.02)


async def test_a_container_that_ends_while_it_asks_ends_the_question_first(
    container: Container, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()
    ended: list[str] = []

    async def before() -> None:
        ended.append("what was opened before")

    def never(*_: object) -> None:
        asked.set()
        try:
            await_only(asyncio.Event().wait())
        finally:
            ended.append("the question")

    monkeypatch.setattr("unitwork.monitor.findings.lock_waits._blocked", never)
    monkeypatch.setattr("unitwork.monitor.findings.lock_waits.QUERY_TIMEOUT_SECONDS", 60.0)  # the container is first
    database = settings.database.model_copy(update={"lock_wait_threshold": THRESHOLD})
    other = Container(settings=settings.model_copy(update={"database": database}))
    async with stranger(settings), running(other):
        other.lifetime().on_close(before)
        waiter = asyncio.create_task(waits(other))
        async with asyncio.timeout(5):
            await asked.wait()
        waiter.cancel()
        await asyncio.wait([waiter])
    assert ended == ["the question", "what was opened before"]
    assert other.sql_monitor().errors.total() == 0
