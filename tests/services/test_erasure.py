"""A purge forgets: nothing of a person is left in any table, file or log, whichever way it came."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli import main
from containers import Container
from domain import Job, JobStatus, OutboxMessage, Role, User
from domain.errors import LastAdmin, TooManyAttempts
from domain.job import JobFilePart
from services.erasure.erasure import PURGED
from services.erasure.personal_values import PersonalValues
from services.messaging.inbox_service import Handled
from settings.rate_limits import RateLimitSettings
from tests.services.everywhere import found_anywhere
from unitwork.audit import AuditEntry
from unitwork.errors import StaleVersion
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

PASSWORD: Final = "correct horse battery"
WORDS: Final = (
    "zenobia", "palmyra", "zénobie", "zenobie", "14155550132", "4155550132", "2025550173", "9198765432", "queen-req",
)  # fmt: skip
"""Each a part of a value that the person has, or had."""
REGISTRATION: Final = {
    "email": "Zenobia@palmyra.example",
    "phone": "+1 (415) 555-0132",
    "display_name": "Zénobie Palmyra",
    "password": PASSWORD,
}
ASYNC: Final = {"Content-Type": "text/csv", "Prefer": "respond-async"}


async def handle(container: Container, topic: str) -> list[Handled]:
    with acting_as(SYSTEM):
        page = await container.outbox_service().list(limit=100)
        return [await container.inbox_service().handle(message.id) for message in page.items if message.topic == topic]


async def a_life(client: httpx2.AsyncClient, container: Container) -> int:
    """Leave behind all that a person can: an account, registered, welcomed, changed, made an admin, refused, refreshed;
    files that it has sent, and files of others that hold it. Return its id.
    """
    named = {"Idempotency-Key": "k1", "X-Request-ID": "queen-req-1"}
    registered = await client.post("/v1/auth/register", json=REGISTRATION, headers=named)
    assert registered.status_code == 201, registered.text
    id_ = int(registered.json()["id"])
    assert await handle(container, "user.registered") == [Handled.HANDLED]
    for login in ("zenobia@PALMYRA.example", "+14155550132"):
        wrong = await client.post("/v1/auth/login", json={"login": login, "password": "wrong password"})
        assert wrong.status_code == 401
    tokens = (await client.post("/v1/auth/login", json={"login": REGISTRATION["email"], "password": PASSWORD})).json()
    hers = {"Authorization": f"Bearer {tokens['access_token']}", "If-Match": "*", "X-Request-ID": "queen-req-2"}
    change = {"phone": "+12025550173", "display_name": "Zenobia of Palmyra", "email": "zenobia2@palmyra.example"}
    changed = await client.patch("/v1/users/me", json=change, headers=hers)
    assert changed.status_code == 200, changed.text
    with acting_as(SYSTEM):
        await container.user_service().update(id_, {"role": Role.ADMIN})
        other = await container.user_service().create({"email": "odaenathus@example.com"})
        regent = await container.user_service().create({"email": "regent@example.com", "role": Role.ADMIN})
        await container.auth_service().set_password(regent.id, "another password")  # the last who can log in stays
    theirs = await client.patch(f"/v1/users/{other.id}", json={"display_name": "Zenobia of Palmyra"}, headers=hers)
    assert theirs.status_code == 200
    with acting_as(SYSTEM):
        await container.user_service().update(other.id, {"display_name": "Odaenathus"})
    sent = await client.post("/v1/users/import", content=b"email\nvabalathus@palmyra.example\n", headers=hers | ASYNC)
    assert sent.status_code == 202, sent.text
    tokens = (await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    assert (await client.get("/v1/users/me", headers={"Authorization": "Bearer gh_x"})).status_code == 401
    return id_


FILES: Final = {
    "utf-8": "email,phone,note\nfirst@example.com,,First\n"
    'ZENOBIA@palmyra.example,,Zenobia of\n"third@example.com",,"in\ntwo lines"\n,1-415-555-0132,Palmyra\n'
    "last@example.com,,Last\n",
    "utf-16": "name;email\nZénobie;zenobia2@palmyra.example\nLast;last@example.com\n",
    "cp1252": "sep=,\r\nOf Zenobia@Palmyra.example, for us\r\nemail,more\r\n"
    'zenobia@palmyra.example,"Zénobie\r\nPalmyra"\r\nlast@example.com,x\r\n',
}


async def files_of_others(client: httpx2.AsyncClient, container: Container, session: AsyncSession) -> dict[str, int]:
    """Imports that an admin has sent, and nobody has begun, or come to an end with; one is parked."""
    ids = {}
    for encoding, text in FILES.items():
        options = {"encoding": encoding, **({"skip_lines": "2"} if encoding == "cp1252" else {})}
        sent = await client.post("/v1/users/import", params=options, content=text.encode(encoding), headers=ASYNC)
        assert sent.status_code == 202, sent.text
        ids[encoding] = int(sent.json()["id"])
    broken = Job(kind="users.import", status=JobStatus.RECEIVING, options={}, created_by=SYSTEM)
    headless = Job(
        kind="users.import", status=JobStatus.DONE, progress={"unused_columns": ["zenobia@palmyra.example"]},
        error="the columns are: Zenobia of Palmyra", finished_at=broken.created_at,
    )  # fmt: skip
    with acting_as(SYSTEM):
        await container.job_dao().add(broken)
        headless.finished_at = broken.created_at
        await container.job_dao().add(headless)
        await container.job_dao().add_part(broken.id, 0, b"email\nzenobia@palmyra.example\n")
    parked = update(OutboxMessage).where(OutboxMessage.payload["job_id"].as_string() == str(ids["utf-8"]))
    with acting_as(SYSTEM):
        await session.execute(parked.values(parked_at=broken.created_at, attempts=99, error="given up"))
    return ids


async def by_the_service(container: Container, id_: int) -> None:
    with acting_as(SYSTEM):
        await container.user_service().purge(id_)


async def by_the_command(container: Container, id_: int) -> None:
    done = await asyncio.to_thread(
        main, ["users", "purge", str(id_), "--yes"], container=Container(settings=container.settings())
    )
    assert done == 0


async def by_the_worker(container: Container, id_: int) -> None:
    with acting_as(SYSTEM):
        await container.user_service().delete(id_)
        assert await container.retention_service().purge_users(retain=timedelta(0)) == 1


@pytest.mark.parametrize("purge", [by_the_service, by_the_command, by_the_worker])
async def test_a_purge_leaves_nothing_of_a_person_in_any_table_file_or_log(
    client: httpx2.AsyncClient,
    container: Container,
    session: AsyncSession,
    caplog: pytest.LogCaptureFixture,
    purge: Callable[[Container, int], Awaitable[None]],
) -> None:
    caplog.set_level(logging.DEBUG)
    for quiet in ("aiosqlite", "asyncio"):
        logging.getLogger(quiet).setLevel(logging.INFO)
    id_ = await a_life(client, container)
    jobs = await files_of_others(client, container, session)
    before = await found_anywhere(container, WORDS)
    assert {place.partition(".")[0] for place in before} >= {
        "users", "audit_entries", "idempotency_keys", "job_file_parts", "jobs",
    }  # fmt: skip
    assert any("notifications" in place for place in before)
    await purge(container, id_)
    assert await found_anywhere(container, WORDS) == []
    assert [word for word in WORDS if word in caplog.text.lower()] == []
    with acting_as(SYSTEM):
        assert PURGED in {message.topic for message in (await container.outbox_service().list()).items}
        await container.outbox_service().retry_parked()
    assert await handle(container, "users.import") == [Handled.HANDLED] * 3
    assert await handle(container, PURGED) == [Handled.HANDLED]
    stored = set(await session.scalars(select(User.email).where(User.email.is_not(None))))
    assert stored >= {"first@example.com", "third@example.com", "last@example.com", "odaenathus@example.com"}
    for job_id in jobs.values():
        job = await container.job_dao().get(job_id)
        assert (job.status, job.error, job.progress["rejected_count"]) == (JobStatus.DONE, None, 0)
    assert await found_anywhere(container, WORDS) == []


async def test_who_did_what_and_when_outlives_the_person(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    id_ = await a_life(client, container)
    before = {entry.id: entry for entry in await session.scalars(select(AuditEntry))}
    await by_the_service(container, id_)
    session.expire_all()
    after = {entry.id: entry for entry in await session.scalars(select(AuditEntry))}
    assert before.keys() < after.keys()
    for entry in after.values():
        if entry.record_id == id_:
            assert all(not values for values in entry.changes.values())
        if id_ in (entry.record_id, entry.created_by):
            assert entry.request_id is None
    assert any(entry.created_by == id_ and entry.record_id != id_ for entry in after.values())


async def test_a_purge_that_is_refused_forgets_nothing(client: httpx2.AsyncClient, container: Container) -> None:
    id_ = await a_life(client, container)
    before = sorted(await found_anywhere(container, WORDS))
    with acting_as(SYSTEM), pytest.raises(StaleVersion):
        await container.user_service().purge(id_, version=1)
    with acting_as(SYSTEM), pytest.raises(RuntimeError, match="after all"):
        async with container.transaction()():
            await container.user_service().purge(id_)
            raise RuntimeError("after all")
    tables = [place for place in await found_anywhere(container, WORDS) if "/" not in place]
    assert sorted(tables) == [place for place in before if "/" not in place]
    notified = [path.read_text() for path in container.settings().notifications.iterdir()]
    assert any(str(id_) in text for text in notified), "its files are there too"


async def test_a_worker_that_is_at_a_file_of_a_purged_person_begins_it_anew(
    client: httpx2.AsyncClient, container: Container, session: AsyncSession
) -> None:
    rows = (
        "email\n" + "".join(f"u{n}@example.com\n" for n in range(1100)) + "zenobia@palmyra.example\nlast@example.com\n"
    )
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "zenobia@palmyra.example"})
    sent = await client.post("/v1/users/import", content=rows.encode(), headers=ASYNC)
    job_id = int(sent.json()["id"])
    dao: Any = type(container.job_dao())
    advance, purged = dao.advance, False

    async def and_purge(self: object, *arguments: Any, **named: Any) -> None:
        nonlocal purged
        await advance(self, *arguments, **named)
        if named["position"] > 900 and not purged:
            purged = True
            raise StaleVersion  # as if it had been killed behind its first batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dao, "advance", and_purge)
        assert await handle(container, "users.import") == [Handled.FAILED]
    assert (await container.job_dao().get(job_id)).status is JobStatus.RUNNING
    await by_the_service(container, user.id)
    job = await container.job_dao().get(job_id)
    assert (job.status, job.position) == (JobStatus.WAITING, 502)
    with acting_as(SYSTEM), pytest.raises(StaleVersion):
        await container.job_dao().advance(job_id, progress={}, position=2000)
    assert await found_anywhere(container, WORDS) == []
    with acting_as(SYSTEM):
        (message,) = [m for m in (await container.outbox_service().list()).items if m.topic == "users.import"]
        await container.outbox_service().retry(message.id)  # an operator who doesn't wait for the pause to end
        assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    assert (await container.job_dao().get(job_id)).progress["imported"] == 1101
    assert await session.scalar(select(JobFilePart.number)) is None


async def test_attempts_on_a_purged_account_are_forgotten(container: Container) -> None:
    rates = RateLimitSettings(login_account="2/hour")
    container.settings.override(container.settings().model_copy(update={"rate_limits": rates}))
    limits = container.rate_limits()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "zenobia@palmyra.example"})
    of_her: list[dict[str, Any]] = [{"contact": "zenobia@palmyra.example"}, {"user_id": user.id}]
    for whose in of_her:
        with pytest.raises(TooManyAttempts):
            for _ in range(3):
                await limits.hit("login", **whose)
    await by_the_service(container, user.id)
    for whose in of_her:
        await limits.hit("login", **whose)


async def test_a_notification_that_is_written_meanwhile_does_not_outlive_the_account(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().register({"email": "zenobia@palmyra.example"})
    notifier: Any = type(container.notifier())
    send = notifier.send

    async def purged_first(self: Any, notification: Any) -> None:
        await by_the_service(container, user.id)
        await send(self, notification)

    monkeypatch.setattr(notifier, "send", purged_first)
    await handle(container, "user.registered")
    assert not list(container.settings().notifications.iterdir())


async def test_a_draft_of_a_killed_process_is_forgotten_and_others_stay(container: Container) -> None:
    folder = container.settings().notifications
    folder.mkdir(parents=True)
    record = json.dumps({"id": "1", "kind": "welcome", "user_id": "7", "address": "zenobia@palmyra.example"})
    (folder / "1.4711").write_text(record[:-4])
    (folder / "2.json").write_text(record.replace('"7"', '"77"'))
    await container.notifier().forget([7])
    assert [path.name for path in folder.iterdir()] == ["2.json"]


async def test_the_last_admin_is_not_purged_over_erasure(container: Container) -> None:
    with acting_as(SYSTEM):
        admin = await container.user_service().create({"email": "a@example.com", "role": Role.ADMIN}, password=PASSWORD)
        with pytest.raises(LastAdmin):
            await container.user_service().purge(admin.id)


def test_persons_are_recognised_by_their_contacts_and_not_by_a_name_alone() -> None:
    known = PersonalValues({"Zenobia@palmyra.example", "+14155550132", "Ann", "Zénobie Palmyra"})
    for row in (
        ["x", "zenobia@PALMYRA.example"], ["+1 415 555 0132"], ["(415) 555-0132"], ["0014155550132"],
        ["write to zenobia@palmyra.example"],
    ):  # fmt: skip
        assert known.in_row(row, region="US"), row
    for row in (["Ann"], ["annex"], ["zenobia@palmyra.example.org"], ["5550139"], ["0132"], [""]):
        assert not known.in_row(row, region="US"), row
    told = {"Ann": ["Zénobie Palmyras", "of ZÉNOBIE PALMYRA, x", 7]}
    assert known.without(told) == {"Ann": ["Zénobie Palmyras", "of (forgotten), x", 7]}
    assert PersonalValues(set()).without("Ann") == "Ann"


async def test_a_name_that_is_a_word_of_ours_breaks_no_job(client: httpx2.AsyncClient, container: Container) -> None:
    sent = await client.post("/v1/users/import", content=b"email\nx@example.com\nnonsense\n", headers=ASYNC)
    await handle(container, "users.import")
    before = (await client.get(sent.headers["location"])).json()
    with acting_as(SYSTEM):
        for name in ("line", "reason", "rows", "rejected", "email", "progress"):
            user = await container.user_service().create({"email": f"{name}@example.org", "display_name": name})
            await container.user_service().purge(user.id)
    after = await client.get(sent.headers["location"])
    assert after.status_code == 200, after.text
    assert after.json()["progress"].keys() == before["progress"].keys()
    assert after.json()["progress"]["rejected"][0]["line"] == 3
