"""An import that goes on after its request was answered, and how far it is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container
from domain import Job, JobStatus, OutboxMessage, User
from domain.job import JobFilePart
from repositories.errors import MessageNotFound
from services.messaging.inbox_service import Handled
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from unitwork import current_transaction
from unitwork.errors import StaleVersion
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

IMPORT = "/v1/users/import"
ASYNC = {"Content-Type": "text/csv", "Prefer": "respond-async"}
ROWS = "email\n" + "".join(f"user{number}@example.com\n" for number in range(1200)) + "nonsense\n"


async def handled(container: Container, within: timedelta | None = None) -> Handled:
    with acting_as(SYSTEM):
        (message,) = (await container.outbox_service().list()).items
        return await container.inbox_service().handle(message.id, within=within)


async def pause_is_over(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.outbox_dao().update().all_rows().set(not_before=None).execute()


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
    assert await handled(container) is Handled.HELD, "after a failure it pauses"
    assert (await client.get(taken.headers["location"])).json()["progress"]["imported"] == 500
    await pause_is_over(container)
    assert await handled(container) is Handled.HANDLED
    body = (await client.get(taken.headers["location"])).json()
    assert (body["status"], body["progress"]["rows"], body["progress"]["imported"]) == ("done", 1201, 1200)
    assert await count(session, User) == 1201


async def test_an_import_that_takes_long_is_handed_over_and_uses_up_no_attempt(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)
    outcomes: list[Handled] = []
    while not outcomes or outcomes[-1] is Handled.HANDED_OVER:
        outcomes.append(await handled(container, within=timedelta(microseconds=1)))
    assert outcomes == [Handled.HANDED_OVER] * 2 + [Handled.HANDLED], "a batch each"
    body = (await client.get(taken.headers["location"])).json()
    assert (body["status"], body["progress"]["rows"], body["progress"]["imported"]) == ("done", 1201, 1200)
    assert await count(session, User) == 1201


async def test_an_import_that_is_given_up_has_failed_with_the_reason_and_lets_its_file_go(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)

    async def broken(*_: object, **__: object) -> bool:
        raise ConnectionResetError

    monkeypatch.setattr(type(container.job_dao()), "claim", broken)
    most = container.settings().outbox.max_attempts
    for attempt in range(1, most + 1):
        assert await handled(container) is (Handled.PARKED if attempt == most else Handled.FAILED)
        await pause_is_over(container)
    body = (await client.get(taken.headers["location"])).json()
    assert body["status"] == "failed"
    assert body["error"] == "given up after 10 attempts without progress: ConnectionResetError"
    assert await count(session, JobFilePart) == 0


async def test_a_job_whose_message_is_discarded_has_failed(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)
    with acting_as(SYSTEM):
        (message,) = (await container.outbox_service().list()).items
        await container.outbox_service().discard(message.id)
        with pytest.raises(MessageNotFound):
            await container.outbox_service().discard(message.id)
    body = (await client.get(taken.headers["location"])).json()
    assert (body["status"], body["error"]) == ("failed", "its message was discarded by an operator")
    assert [await count(session, model) for model in (JobFilePart, OutboxMessage)] == [0, 0]


async def test_jobs_are_listed_newest_first_and_cancelled(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    first, second, third = [
        (await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)).json()["id"] for _ in range(3)
    ]
    page = await client.get("/v1/jobs", params={"limit": 2})
    assert [job["id"] for job in page.json()["items"]] == [third, second]
    rest = await client.get(page.headers["link"].partition(">")[0].removeprefix("<"))
    assert ([job["id"] for job in rest.json()["items"]], rest.json()["has_more"]) == ([first], False)

    cancelled = await client.delete(f"/v1/jobs/{second}")
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "failed"
    assert cancelled.json()["error"] == "cancelled by an admin; what was done before stays"
    again = await client.delete(f"/v1/jobs/{second}")
    assert again.json() == cancelled.json()
    assert [await count(session, model) for model in (JobFilePart, OutboxMessage)] == [2, 2]
    unfinished = await client.get("/v1/jobs", params={"unfinished": True})
    assert [job["id"] for job in unfinished.json()["items"]] == [third, first]
    assert_problem(await client.delete("/v1/jobs/1"), 404, "not_found")


async def test_an_import_that_is_cancelled_under_way_keeps_its_batches_and_stores_no_further_one(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await client.post(IMPORT, content=ROWS.encode(), headers=ASYNC)
    dao: Any = type(container.job_dao())
    advance: Callable[..., Any] = dao.advance

    async def then_cancelled(self: object, *arguments: object, **named: object) -> None:
        await advance(self, *arguments, **named)
        transaction = current_transaction()
        assert transaction is not None
        transaction.after_commit(lambda: _cancel(container, taken.json()["id"]))

    monkeypatch.setattr(dao, "advance", then_cancelled)
    assert await handled(container) is Handled.LOST
    body = (await client.get(taken.headers["location"])).json()
    assert (body["status"], body["progress"]["imported"]) == ("failed", 500)
    assert await count(session, User) == 501
    assert [await count(session, model) for model in (JobFilePart, OutboxMessage)] == [0, 0]


async def _cancel(container: Container, job_id: str) -> None:
    with acting_as(SYSTEM):
        await container.job_service().cancel(int(job_id), by="a test")


async def test_an_upload_that_is_cancelled_meanwhile_leaves_no_file(
    container: Container, session: AsyncSession
) -> None:
    class Cancelled:
        left = 2

        async def read(self, _size: int, /) -> bytes:
            (job,) = await container.job_dao().query().all()
            await container.job_service().cancel(job.id, by="a test")
            self.left -= 1
            return b"x" * 70_000 if self.left else b""

    with acting_as(SYSTEM):
        job = await container.user_import_job().start(Cancelled())
    assert (job.status, job.error) == (JobStatus.FAILED, "cancelled by a test; what was done before stays")
    assert [await count(session, model) for model in (JobFilePart, OutboxMessage)] == [0, 0]


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
    for method, path in (("GET", "/v1/jobs/1"), ("GET", "/v1/jobs"), ("DELETE", "/v1/jobs/1")):
        assert_problem(await client.request(method, path, headers=headers), 403, "not_allowed")


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
