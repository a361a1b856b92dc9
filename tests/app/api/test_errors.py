"""Whatever goes wrong is a problem document, and tells nothing of our insides."""

import asyncio
import json
import time
from collections.abc import MutableMapping
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.api import create_app
from app.api.health import ANSWERS_WITHIN
from containers import Container, running
from domain.errors import ClientGone, TooBusy
from settings import Settings
from tests.app.api.problem_document import READINESS, assert_problem
from tests.fakes import FailingUsers
from tests.patience import until_ready
from unitwork import StoredRevision
from unitwork.errors import (
    CommitOutcomeUnknown,
    ConnectionLost,
    ContainerClosed,
    DatabaseUnavailable,
    DeadlockDetected,
    LockNotAvailable,
    NotPrimary,
    PoolDeadlock,
    PoolTimeout,
    SerializationFailure,
    StatementOutdated,
    StatementTimeout,
    TransactionRolledBack,
    TransactionTimeout,
)


def _caught(cause: Exception) -> TransactionRolledBack:
    """What a block ends with whose body has caught the error."""
    error = TransactionRolledBack()
    error.__cause__ = cause
    return error


async def test_an_unknown_address_is_404(client: httpx2.AsyncClient) -> None:
    for path in ("/nothing", "/v1/nothing", "/v1/users/1/nothing", "/health/nothing", "/%00", "/v1"):
        problem = assert_problem(await client.get(path), 404, "no_such_address")
        assert problem["errors"] == []


async def test_a_method_that_an_address_does_not_answer_is_405(client: httpx2.AsyncClient) -> None:
    for method, path in [
        ("PUT", "/v1/users"),
        ("DELETE", "/v1/users"),
        ("PUT", "/v1/users/1"),
        ("POST", "/health/live"),
    ]:
        response = await client.request(method, path)
        assert_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"]


async def test_an_unexpected_error_is_a_500_without_its_words(
    client: httpx2.AsyncClient, container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    with container.user_dao.override(FailingUsers(RuntimeError("canary"))):
        response = await client.get("/v1/users/1", headers={"X-Request-ID": "mine"})
    problem = assert_problem(response, 500, "internal_error")
    assert problem["request_id"] == "mine"
    for word in ("canary", "RuntimeError", ".py"):
        assert word not in response.text
    assert "canary" in caplog.text, "the log must tell what the answer doesn't"
    assert (await client.get("/v1/users")).status_code == 200


async def test_an_error_in_authentication_is_a_500_too(client: httpx2.AsyncClient, container: Container) -> None:
    class Broken:
        async def authenticate(self, secret: str) -> None:
            msg = "canary"
            raise RuntimeError(msg)

    with container.auth_service.override(Broken()):
        response = await client.get("/v1/users")
    assert_problem(response, 500, "internal_error")
    assert "canary" not in response.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PoolTimeout(size=5, timeout=3), 503, "unavailable"),
        (SerializationFailure("canary", sqlstate="40001"), 503, "try_again"),
        (DeadlockDetected("canary", sqlstate="40P01"), 503, "try_again"),
        (PoolDeadlock(outer="canary", inner="canary", size=1), 503, "unavailable"),
        (DatabaseUnavailable("canary", "canary"), 503, "unavailable"),
        (NotPrimary("canary", "canary", sqlstate="25006"), 503, "try_again"),
        (ContainerClosed(closing=True), 503, "unavailable"),
        (ConnectionLost("canary", sqlstate="57P01"), 503, "try_again"),
        (StatementOutdated("canary", sqlstate="0A000"), 503, "try_again"),
        (_caught(StatementOutdated("canary", sqlstate="0A000")), 503, "try_again"),
        (_caught(RuntimeError("canary")), 500, "internal_error"),
        (LockNotAvailable("canary", sqlstate="55P03"), 503, "try_again"),
        (StatementTimeout("canary", sqlstate="57014"), 504, "timeout"),
        (TransactionTimeout(1.0, "canary"), 504, "timeout"),
        (CommitOutcomeUnknown(), 500, "outcome_unknown"),
    ],
)
async def test_a_database_in_trouble_is_not_the_clients_fault(
    client: httpx2.AsyncClient, container: Container, error: Exception, status: int, code: str
) -> None:
    with container.user_dao.override(FailingUsers(error)):
        response = await client.get("/v1/users/1")
    document = assert_problem(response, status, code)
    assert "canary" not in response.text
    assert ("retry-after" in response.headers) is (status == 503)
    assert ("nothing was changed" in document["detail"]) is (status != 500), "an unknown outcome is not said to be none"


async def test_a_request_that_is_cancelled_before_its_answer_is_503_and_stays_cancelled(
    app: FastAPI, container: Container, admin_token: str
) -> None:
    sent: list[dict[str, Any]] = []

    class Waiting:
        async def authenticate(self, secret: str) -> None:
            await asyncio.sleep(60)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "method": "GET", "path": "/v1/users", "raw_path": b"/v1/users", "query_string": b"",
        "root_path": "", "scheme": "http", "headers": [(b"authorization", f"Bearer {admin_token}".encode())],
    }  # fmt: skip
    with container.auth_service.override(Waiting()):
        request = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0.05)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    start, body = sent
    document = json.loads(body["body"])
    assert (start["status"], document["code"]) == (503, "cancelled")
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert "everything was stored, or nothing" in document["detail"]


def unauthenticated(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test", headers={"Authorization": "Bearer gh_any"}
    )


async def test_an_unreachable_database_is_503_and_the_process_lives() -> None:
    settings = Settings(database={"url": "postgresql://someone:canary@127.0.0.1:1/nowhere"})
    async with running(Container(settings=settings)) as container, unauthenticated(create_app(container)) as client:
        for method, path in [("GET", "/v1/users"), ("POST", "/v1/users"), ("GET", "/v1/users/1")]:
            response = await client.request(method, path)
            assert_problem(response, 503, "unavailable")
            assert int(response.headers["retry-after"]) >= 1
            for word in ("canary", "127.0.0.1", "nowhere"):
                assert word not in response.text
        ready = await client.get("/health/ready")
        assert_problem(ready, 503, "database_unreachable", facts=READINESS)
        assert ready.headers["retry-after"]
        assert (ready.json()["database"], ready.json()["migrations"]) == ("unreachable", "unknown")
        assert (await client.get("/health/live")).status_code == 200


async def test_an_unmigrated_database_is_behind_and_503(unmigrated_url: str) -> None:
    settings = Settings(database={"url": unmigrated_url})
    async with running(Container(settings=settings)) as container, unauthenticated(create_app(container)) as client:
        ready = await client.get("/health/ready")
        document = assert_problem(ready, 503, "migrations_behind", facts=READINESS)
        assert (document["database"], document["migrations"]) == ("ok", "behind")
        response = await client.get("/v1/users")
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"]
        assert (await client.get("/health/live")).status_code == 200

        await container.schema().upgrade()
        await until_ready(client)
        assert_problem(await client.get("/v1/users"), 401, "not_authenticated")


@pytest.mark.parametrize(("compatible_from", "status"), [("0009", 200), ("0041", 503), (None, 503)])
async def test_a_newer_schema_is_ready_if_it_works_with_this_release(
    container: Container, client: httpx2.AsyncClient, compatible_from: str | None, status: int
) -> None:
    """As old processes find it in a rolling upgrade."""
    async with container.transaction()() as tx:
        versions = text("UPDATE alembic_version SET version_num = '0042', compatible_from = :oldest")
        await tx.session.execute(versions, {"oldest": compatible_from})
    ready = await client.get("/health/ready")
    assert ready.status_code == status
    if status == 503:
        assert_problem(ready, 503, "migrations_ahead", facts=READINESS)


async def test_a_process_that_stood_still_itself_blames_no_database(
    container: Container, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = container.schema()

    async def asked_when_somebody_blocks_the_loop() -> StoredRevision:
        asyncio.get_running_loop().call_soon(time.sleep, ANSWERS_WITHIN * 1.5)
        for _ in range(2):  # round trips
            await asyncio.sleep(0.01)
        return StoredRevision(schema.head)

    monkeypatch.setattr(schema, "stored", asked_when_somebody_blocks_the_loop)
    with container.schema.override(schema):
        ready = await client.get("/health/ready")
    assert ready.status_code == 200, ready.text


async def test_a_database_without_an_answer_is_waited_for_and_then_unreachable(
    container: Container, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = container.schema()
    monkeypatch.setattr(schema, "stored", asyncio.Event().wait)
    begun = time.monotonic()
    with container.schema.override(schema):
        assert_problem(await client.get("/health/ready"), 503, "database_unreachable", facts=READINESS)
    assert ANSWERS_WITHIN <= time.monotonic() - begun < ANSWERS_WITHIN * 5


async def test_a_ready_service_tells_no_version_and_no_host(client: httpx2.AsyncClient, settings: Settings) -> None:
    response = await client.get("/health/ready", headers={"Authorization": ""})
    assert response.status_code == 200
    assert set(response.json()) == {"status", "database", "migrations", "pool_in_use", "pool_size"}
    assert response.json()["status"] == "ok"
    assert str(settings.database.url.host or settings.database.url.database) not in response.text
    assert "server" not in response.headers
    assert (await client.get("/health/live")).json() == {"status": "ok"}


async def test_a_full_queue_of_hashes_is_503_and_who_hung_up_is_no_error(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for error, status, code in ((TooBusy(7), 503, "busy"), (ClientGone(), 400, "client_gone")):
        monkeypatch.setattr("services.hash_queue.HashQueue.run", AsyncMock(side_effect=error))
        for path in ("/v1/auth/login", "/v1/auth/register", "/v1/users"):
            body = {"login": "a@example.com"} if path.endswith("login") else {"email": "a@example.com"}
            answer = await client.post(path, json=body | {"password": "correct horse battery"})
            assert_problem(answer, status, code)
            assert answer.headers.get("retry-after") == ("7" if status == 503 else None)
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
