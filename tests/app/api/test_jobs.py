"""An import that goes on after its request was answered, and how far it is."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import Job, JobStatus, OutboxMessage, User
from domain.job import JobFilePart
from services.messaging.inbox_service import Handled
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from unitwork.errors import StaleVersion
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

IMPORT = "/v1/users/import"
ASYNC = {"Content-Type": "text/csv", "Prefer": "respond-async"}
ROWS = "email\n" + "".join(f"user{number}@example.com\n" for number in range(1200)) + "nonsense\n"


async def handled(container: Container) -> Handled:
    with acting_as(SYSTEM):
        (message,) = (await container.outbox_service().list()).items
        return await container.inbox_service().handle(message.id)


async def count(session: AsyncSession, model: type) -> int:
    return await session.scalar(select(func.count()).select_from(model)) or 0


async def test_the_file_is_taken_and_a_worker_imports_it(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)
    assert (taken.status_code, taken.headers["preference-applied"]) == (202, "respond-async")
    address = taken.headers["location"]
    assert address == f"/v1/jobs/{taken.json()['id']}"
    waiting = await client.get(address)
    assert (waiting.json()["status"], waiting.headers["retry-after"]) == ("waiting", "1")
    assert await count(session, User) == 1, "the admin alone"

    assert await handled(container) is Handled.HANDLED
    done = await client.get(address)
    assert "retry-after" not in done.headers
    body = done.json()
    assert (body["status"], body["error"], body["kind"]) == ("done", None, "users.import")
    [rejection] = body["progress"].pop("rejected")
    assert (rejection["line"], rejection["reason"].partition(": ")[0]) == (1202, "email")
    assert body["progress"] == {
        "rows": 1201,
        "imported": 1200,
        "skipped": 0,
        "rejected_count": 1,
        "dropped_count": 0,
        "dropped": [],
        "columns": {"email": "email"},
        "unused_columns": [],
    }
    assert await count(session, User) == 1201
    assert await count(session, JobFilePart) == 0, "the file is needed no longer"
    assert await count(session, OutboxMessage) == 0


async def test_an_import_that_is_interrupted_goes_on_and_counts_no_row_twice(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)
    dao: Any = type(container.job_dao())
    advance: Callable[..., Any] = dao.advance
    advanced = 0

    async def once(self: object, *arguments: object, **named: object) -> None:
        nonlocal advanced
        advanced += 1
        await advance(self, *arguments, **named)
        if advanced == 2:
            raise ConnectionResetError

    monkeypatch.setattr(dao, "advance", once)
    assert await handled(container) is Handled.FAILED
    broken = (await client.get(taken.headers["location"])).json()
    assert (broken["status"], broken["progress"]["imported"]) == ("running", 500), "the batch under way is undone"
    assert await count(session, User) == 501
    assert await handled(container) is Handled.HANDLED, "somebody may still be at it"
    assert (await client.get(taken.headers["location"])).json()["progress"]["imported"] == 500
    monkeypatch.setattr("repositories.job_dao.LEASE", -container.settings().worker.retain_jobs)
    assert await handled(container) is Handled.HANDLED
    body = (await client.get(taken.headers["location"])).json()
    assert (body["status"], body["progress"]["rows"], body["progress"]["imported"]) == ("done", 1201, 1200)
    assert await count(session, User) == 1201


async def test_who_has_lost_a_job_stores_no_batch_of_it(container: Container) -> None:
    with acting_as(SYSTEM):
        jobs = container.job_dao()
        job = await jobs.add(Job(kind="k", status=JobStatus.RUNNING, position=1))
        await jobs.advance(job.id, progress={}, position=501)
        for late in (500, 501):
            with pytest.raises(StaleVersion):
                await jobs.advance(job.id, progress={}, position=late)


async def test_a_file_that_cannot_be_used_fails_the_job_and_says_why(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    taken = await client.post(IMPORT, content=b"colour\nred\n", headers=ASYNC)
    assert taken.status_code == 202
    assert await handled(container) is Handled.HANDLED
    body = (await client.get(taken.headers["location"])).json()
    assert body["status"] == "failed"
    assert "column" in body["error"]
    assert await count(session, OutboxMessage) == 0, "trying again would not help"


async def test_a_mapping_that_cannot_be_meant_starts_no_job(client: httpx2.AsyncClient, session: AsyncSession) -> None:
    refused = await client.post(IMPORT, content=b"email\n", headers=ASYNC, params={"column": "nonsense"})
    assert refused.status_code == 422
    assert await count(session, Job) == 0


async def test_a_file_over_the_limit_starts_no_job(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    job = container.user_import_job()
    job._max_bytes = 100_000

    class Endless:
        async def read(self, _size: int, /) -> bytes:
            return b"x" * 50_000

    with acting_as(SYSTEM), pytest.raises(Exception, match="100000"):
        await job.start(Endless())
    assert [await count(session, model) for model in (Job, JobFilePart, OutboxMessage)] == [0, 0, 0]


async def test_jobs_are_for_admins(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    assert_problem(await client.get("/v1/jobs/1"), 404, "not_found")
    assert_problem(await client.get("/v1/jobs/x"), 422, "invalid_request")
    _, headers = await sign_in({"email": "ada@example.com"})
    assert_problem(await client.get("/v1/jobs/1", headers=headers), 403, "not_allowed")


@pytest.mark.parametrize("line", [(1 << 31) - 1, 1 << 31, (1 << 63) - 2])
async def test_a_start_line_beyond_32_bits_is_a_line(
    client: httpx2.AsyncClient, container: Container, line: int
) -> None:
    for headers in (ASYNC, {"Content-Type": "text/csv"}):
        taken = await client.post(
            IMPORT, params={"start_line": line}, content=b"email\na@example.com\n", headers=headers
        )
        assert taken.status_code in {200, 202}, taken.text
    assert await handled(container) is Handled.HANDLED
    (job,) = await container.job_dao().query().all()
    assert (job.status, job.position, job.progress["rows"]) == (JobStatus.DONE, line, 0)
