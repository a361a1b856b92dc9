"""Reads over HTTP and in workers see what their client has stored, on whichever replica they land."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from app.api import create_app
from app.api.read_positions import COOKIE, POSITION, READ_FROM
from app.testing.isolated import isolated
from app.worker.service_task import context_of, current_headers
from containers import Container, running
from domain import OutboxMessage, Role
from services.messaging.broker import POSITION as TASK_POSITION
from services.messaging.handlers import at_least_once
from services.messaging.notification_service import WELCOME
from settings import Settings
from tests.conftest import CHEAP_PASSWORDS
from tests.faults.replicated import COMES_WITHIN, Replicated
from tests.patience import until
from unitwork import PositionTokens, Told, current_position, reading_after
from unitwork.models import SYSTEM, acting_as

STALENESS: Final = 1.0
"""Seconds, the default."""
PASSWORD: Final = "correct horse battery staple"


@pytest.fixture
async def container(replicated: Replicated, tmp_path: Path) -> AsyncIterator[Container]:
    """Migrated, with the replica in use."""
    section = {"url": replicated.primary_url, "replica_urls": replicated.replica_url, "replica_wait": 0}
    settings = Settings.model_validate(
        {"database": section, "var_dir": tmp_path, "node_id": 4095, "passwords": CHEAP_PASSWORDS}
    )
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await replicated.pair.standby.caught_up()
        await until(lambda: used(container), within=COMES_WITHIN)
        yield container


def used(container: Container) -> bool:
    replicas = container.replicas()
    return replicas is not None and replicas.states()[0].used


@pytest.fixture
async def admin_token(container: Container, replicated: Replicated) -> str:
    with acting_as(SYSTEM):
        admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
        _, secret = await container.auth_service().issue(admin.id)
    await replicated.pair.standby.caught_up()
    return str(secret)


def client_of(container: Container, token: str = "") -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx2.ASGITransport(create_app(container))
    return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)


@asynccontextmanager
async def serving(container: Container, token: str = "") -> AsyncIterator[Callable[..., Any]]:
    """A function that sends one request without what earlier ones left in a cookie jar."""
    async with client_of(container, token) as client:
        app: Any = client._transport.app  # type: ignore[attr-defined]  # the application that was given
        app.state.container = container

        async def send(method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
            client.cookies.clear()
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, json=body, headers=named)

        yield send


async def test_a_client_reads_what_it_has_stored_by_header_or_cookie(
    container: Container, replicated: Replicated, admin_token: str
) -> None:
    async with serving(container, admin_token) as send:
        await replicated.pause()
        made = await send("POST", "/v1/users", {"email": "ann@example.com"})
        token, path = made.headers[POSITION], f"/v1/users/{made.json()['id']}"
        cookie = SimpleCookie(made.headers["set-cookie"])[COOKIE]
        assert (made.status_code, made.headers[READ_FROM], cookie.value) == (201, "primary", token)
        assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", "60")
        for carried in ({POSITION: token}, {"Cookie": f"{COOKIE}={token}"}):
            found = await send("GET", path, **carried)
            assert (found.status_code, found.headers[READ_FROM]) == (200, "primary")
            assert POSITION not in found.headers, "it has stored nothing"
        other = await send("GET", path)
        assert (other.status_code, other.headers[READ_FROM]) == (404, "replica"), (
            "who has stored nothing waits for none"
        )


async def test_a_token_that_is_not_ours_is_none(container: Container, replicated: Replicated, admin_token: str) -> None:
    async with serving(container, admin_token) as send:
        await replicated.pause()
        made = await send("POST", "/v1/users", {"email": "ann@example.com"})
        token = made.headers[POSITION]
        told = container.position_tokens().read(token)
        foreign = PositionTokens(lambda: "another key").write(told)
        bad = ("x", "0/FFFFFFFF", "", "A" * 300, "'; DROP TABLE users --", token[:-2], f"{token[:-1]}~", foreign)
        for text in bad:
            for carried in ({POSITION: text}, {"Cookie": f"{COOKIE}={text}"}):
                answer = await send("GET", "/v1/users?limit=1", **carried)
                assert (answer.status_code, answer.headers[READ_FROM]) == (200, "replica"), text
        assert told.position is not None
        server = told.position.server._replace(timeline=9)
        elsewhere = told._replace(position=told.position._replace(server=server))
        answer = await send("GET", "/v1/users?limit=1", **{POSITION: container.position_tokens().write(elsewhere)})
        assert (answer.status_code, answer.headers[READ_FROM]) == (200, "primary"), "of another history: nobody knows"


async def test_a_request_that_is_repeated_or_in_conflict_is_told_a_position_too(
    container: Container, replicated: Replicated, admin_token: str
) -> None:
    async with serving(container, admin_token) as send:
        await replicated.pause()
        for _ in range(2):
            made = await send("POST", "/v1/users", {"email": "ann@example.com"}, Idempotency_Key="once")
            found = await send("GET", f"/v1/users/{made.json()['id']}", **{POSITION: made.headers[POSITION]})
            assert (made.status_code, found.status_code) == (201, 200)
        taken = await send("POST", "/v1/users", {"email": "ann@example.com"})
        assert taken.status_code == 409
        assert POSITION in taken.headers
        invalid = await send("POST", "/v1/users", {"email": 7})
        assert invalid.status_code == 422
        assert POSITION not in invalid.headers


async def test_a_login_counts_at_once_and_a_logout_for_writes_at_once(
    container: Container, replicated: Replicated, admin_token: str
) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com", "role": Role.ADMIN})
        await container.auth_service().set_password(user.id, PASSWORD)
    async with serving(container) as send:
        before = (await send("POST", "/v1/auth/login", {"login": "ann@example.com", "password": PASSWORD})).json()
        await replicated.pause()
        changed = await send(
            "POST",
            "/v1/users/me/password",
            {"current": PASSWORD, "new": f"{PASSWORD} two"},
            Authorization=f"Bearer {before['access_token']}",
        )
        assert changed.status_code == 204, changed.text
        login = await send("POST", "/v1/auth/login", {"login": "ann@example.com", "password": f"{PASSWORD} two"})
        assert login.status_code == 200, "the replica still has the former password"
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
        assert (await send("GET", "/v1/users/me", **bearer)).status_code == 200, "the replica hasn't got this token"
        old = {"Authorization": f"Bearer {before['access_token']}"}
        assert (await send("PATCH", "/v1/users/me", {"display_name": "x"}, If_Match="*", **old)).status_code == 401
        told = {POSITION: changed.headers[POSITION]}
        assert (await send("GET", "/v1/users/me", **old, **told)).status_code == 401, "told of the change, it is known"
        await asyncio.sleep(STALENESS + 0.1)
        assert (await send("GET", "/v1/users/me", **old)).status_code == 401, "the staleness has a bound"


async def test_the_state_of_a_job_is_current_and_what_it_says_can_be_read(
    container: Container, replicated: Replicated, admin_token: str
) -> None:
    async with serving(container, admin_token) as send:
        await replicated.pause()
        with acting_as(SYSTEM):
            user = await container.user_service().create({"email": "ann@example.com"})
        answer = await send("GET", "/v1/jobs/1")
        assert (answer.status_code, answer.headers[READ_FROM]) == (404, "primary, replica")
        told = {POSITION: answer.headers[POSITION]}
        assert (await send("GET", f"/v1/users/{user.id}", **told)).status_code == 200


async def test_without_replicas_no_answer_tells_of_any(tmp_path: Path) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/a.db"}, var_dir=tmp_path, node_id=1)
    async with running(Container(settings=settings)) as container:
        assert container.replicas() is None
        await container.schema().upgrade()
        async with serving(container) as send:
            answer = await send("POST", "/v1/auth/register", {"email": "ann@example.com", "password": PASSWORD})
            assert answer.status_code == 201
            assert not {POSITION.lower(), READ_FROM.lower(), "set-cookie"} & set(answer.headers)


async def test_an_isolated_test_has_no_replicas(replicated: Replicated, tmp_path: Path) -> None:
    """Its rows are in a transaction that no replica ever sees."""
    section = {"url": replicated.primary_url, "replica_urls": replicated.replica_url}
    async with isolated(Container(settings=Settings(database=section, var_dir=tmp_path, node_id=1))) as container:
        assert container.replicas() is None


class Recorder:
    """A publisher that records what a task is sent with."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str | None]] = []

    async def publish(self, messages: Any) -> None:
        def in_its_thread() -> str | None:
            return current_position()

        position = await asyncio.to_thread(in_its_thread)
        self.sent += [(message.id, position) for message in messages]


async def test_a_worker_reads_what_its_message_was_stored_with(container: Container, replicated: Replicated) -> None:
    recorder = Recorder()
    await replicated.pause()
    with acting_as(SYSTEM), container.publisher.override(recorder), reading_after() as work:
        user = await container.user_service().create({"email": "ann@example.com"})
        async with container.transaction()():
            await container.outbox_service().append(WELCOME, {"user_id": str(user.id)})
        stored = work.told
        assert await container.outbox_relay().relay() == 1
    ((message_id, position),) = recorder.sent
    told = Told.parse(position)
    assert told.position is not None
    assert stored.position is not None
    assert told.position.covers(stored.position), "the relay has claimed it later"
    seen: list[str | None] = []

    @at_least_once
    async def handler(_message: OutboxMessage) -> None:
        found = await container.user_dao().get(user.id)
        seen.append(found.email)
        seen.append(current_headers().get(TASK_POSITION))

    handlers = {**container.message_handlers(), WELCOME: handler}
    with container.message_handlers.override(handlers), context_of({TASK_POSITION: position}):
        await container.inbox_service().handle(message_id)
    assert seen[0] == "ann@example.com"
    assert seen[1] is not None, "a task that it sends reads after it, too"


async def test_a_task_without_a_position_reads_nothing_older_than_its_beginning(
    container: Container, replicated: Replicated
) -> None:
    await replicated.pause()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ann@example.com"})
    for headers in ({}, {TASK_POSITION: "nonsense"}):
        with context_of(headers):
            assert (await container.user_dao().get(user.id)).email == "ann@example.com"
