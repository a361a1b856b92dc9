"""Authority is checked when it acts: who was demoted, deleted or logged out meanwhile comes no further."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from containers import Container
from domain import Role, User, UserStatus
from services.messaging.inbox_service import Handled
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

IMPORT = "/v1/users/import"
CSV = {"Content-Type": "text/csv"}
BATCHES = [
    b"email\n" + b"".join(f"u{number}@example.com\n".encode() for number in range(700)),
    b"".join(f"u{number}@example.com\n".encode() for number in range(700, 1400)),
]
Removal = Callable[[Container, User], Awaitable[Any]]


async def demoted(container: Container, admin: User) -> None:
    await container.user_service().update(admin.id, {"role": Role.USER})


async def suspended(container: Container, admin: User) -> None:
    await container.user_service().update(admin.id, {"status": UserStatus.SUSPENDED})


async def deleted(container: Container, admin: User) -> None:
    await container.user_service().delete(admin.id)


async def purged(container: Container, admin: User) -> None:
    await container.user_service().purge(admin.id)


async def logged_out(container: Container, admin: User) -> None:
    await container.auth_service().logout_all(admin.id)


@pytest.mark.parametrize("removal", [demoted, suspended, deleted, purged, logged_out])
async def test_a_streamed_import_stops_where_its_sender_may_no_longer(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn, removal: Removal
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})

    async def body() -> AsyncIterator[bytes]:
        yield BATCHES[0]
        with acting_as(SYSTEM):
            await removal(container, admin)
        yield BATCHES[1]

    answer = await client.post(IMPORT, content=body(), headers=headers | CSV)
    problem = assert_problem(answer, 403, "not_allowed", facts=frozenset({"report"}))
    assert problem["report"]["imported"] == 500, "what was stored before stays, and is told"
    assert problem["report"]["next_line"] == 502
    assert await container.user_dao().count().contains("email", "u").rows() == 500


@pytest.mark.parametrize("dry_run", ["false", "true"])
async def test_a_dry_run_tells_nothing_either(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn, dry_run: str
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})

    async def body() -> AsyncIterator[bytes]:
        with acting_as(SYSTEM):
            await demoted(container, admin)
        yield b"email\na@example.com\n"

    answer = await client.post(IMPORT, params={"dry_run": dry_run}, content=body(), headers=headers | CSV)
    assert_problem(answer, 403, "not_allowed")
    assert await container.user_dao().count().eq("email", "a@example.com").rows() == 0


@pytest.mark.parametrize("removal", [demoted, suspended, deleted])
async def test_a_queued_import_of_who_may_no_longer_stores_nothing_and_says_why(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn, removal: Removal
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})
    sent = await client.post(IMPORT, content=BATCHES[0], headers=headers | CSV | {"Prefer": "respond-async"})
    assert sent.status_code == 202
    with acting_as(SYSTEM):
        await removal(container, admin)
        (message,) = (await container.outbox_service().list()).items
        assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    job = (await client.get(sent.headers["location"])).json()
    assert (job["status"], job["progress"]["imported"]) == ("failed", 0)
    assert "may import no longer: rows from line 1 on are not in" in job["error"]
    assert await container.user_dao().count().contains("email", "u").rows() == 0
    assert await container.job_dao().part(int(job["id"]), 0) is None, "its file is gone"


async def test_a_queued_import_stops_at_the_batch_at_which_its_sender_is_demoted(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})
    sent = await client.post(IMPORT, content=b"".join(BATCHES), headers=headers | CSV | {"Prefer": "respond-async"})
    dao: Any = type(container.job_dao())
    part = dao.part

    async def demoted_meanwhile(self: Any, job_id: int, number: int) -> bytes | None:
        if number == 1:
            with acting_as(SYSTEM):
                await demoted(container, admin)
        piece: bytes | None = await part(self, job_id, number)
        return piece[: len(piece) // 2] if piece and number == 0 else piece

    monkeypatch.setattr("domain.job.PART", 60_000)
    monkeypatch.setattr(dao, "part", demoted_meanwhile)
    with acting_as(SYSTEM):
        (message,) = (await container.outbox_service().list()).items
        await container.inbox_service().handle(message.id)
    job = (await client.get(sent.headers["location"])).json()
    assert (job["status"], job["progress"]["imported"]) == ("failed", 500)
    assert "rows from line 502 on are not in" in job["error"]


async def test_a_worker_acts_for_whom_the_stored_message_names(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    admin, headers = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})
    await client.post(IMPORT, content=b"email\na@example.com\n", headers=headers | CSV | {"Prefer": "respond-async"})
    with acting_as(SYSTEM):  # whatever the broker's message says
        (message,) = (await container.outbox_service().list()).items
        await container.inbox_service().handle(message.id)
    assert (await container.user_service().find("a@example.com")).created_by == admin.id


async def test_an_export_ends_where_its_reader_may_no_longer(
    client: httpx2.AsyncClient, container: Container, sign_in: SignIn
) -> None:
    admin, _ = await sign_in({"email": "boss@example.com", "role": Role.ADMIN})
    with acting_as(SYSTEM):
        await container.user_dao().add_many([User.create({"email": f"u{n}@example.com"}) for n in range(1200)])
    may = container.authority().check
    pieces = container.user_csv_service().export(plain=True, may=may)
    with acting_as(admin.id):
        read = [await anext(pieces), await anext(pieces)]
        with acting_as(SYSTEM):
            await demoted(container, admin)
        with pytest.raises(Exception, match="may not do this"):
            read += [piece async for piece in pieces]
    assert len(read) == 2
