"""Logs: who and which request, and no value that somebody sent."""

import asyncio
import json
import logging

import httpx2
import pytest

from app.logs import configure_logs
from containers import Container
from domain.token import digest_of
from settings import Settings
from unitwork import Propagation


async def test_not_even_debug_logs_hold_values(
    client: httpx2.AsyncClient, admin_token: str, root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Settings(debug=True))
    logging.getLogger("httpx2").setLevel("WARNING")
    await client.get("/v1/users?email=canary@example.com")
    await client.post("/v1/users", json={"email": "canary2@example.com", "password": "canarycanary"})
    await client.post("/v1/users", json={"email": "canary2@example.com"})
    await client.post("/v1/users", json={"email": "canary"})

    out, err = capfd.readouterr()
    assert out == ""
    assert "GET /v1/users 200" in err
    for word in ("canary", admin_token, "argon2id"):
        assert word not in err


async def test_json_logs_name_the_request_and_the_acting_user(
    client: httpx2.AsyncClient, root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Settings(log_format="json"))
    await client.get("/v1/users", headers={"X-Request-ID": "mine"})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    access = next(line for line in lines if line["logger"] == "gatehouse.access")
    assert access["request_id"] == "mine"
    assert access["acting_user"] > 0
    assert access["level"] == "info"


async def test_a_line_inside_a_transaction_names_it(
    container: Container, root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Settings(log_format="json"))
    log, transaction = logging.getLogger("gatehouse.test"), container.transaction()
    log.info("before")
    async with transaction(name="outer"):
        log.info("outer")
        async with transaction(Propagation.NESTED):
            await asyncio.to_thread(log.info, "in a savepoint and another thread")
    log.info("after")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    named = [(line["event"], line.get("transaction")) for line in lines if line["logger"] == "gatehouse.test"]
    assert named == [
        ("before", None), ("outer", "outer"), ("in a savepoint and another thread", "outer"), ("after", None),
    ]  # fmt: skip


async def test_no_log_of_a_login_holds_a_password_or_a_token(
    client: httpx2.AsyncClient, root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logs(Settings(debug=True))
    logging.getLogger("httpx2").setLevel("WARNING")
    body = {"login": "ada@example.com", "password": "canary canary"}
    await client.post("/v1/auth/register", json={"email": body["login"], "password": body["password"]})
    tokens = (await client.post("/v1/auth/login", json=body)).json()
    again = (await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).json()
    headers = {"Authorization": f"Bearer {again['access_token']}"}
    change = {"current": "canary wrong", "new": "canary again"}
    await client.post("/v1/users/me/password", json=change, headers=headers)
    await client.post("/v1/auth/login", json=body | {"password": "canary wrong"})
    await client.post("/v1/auth/logout", json={"refresh_token": again["refresh_token"]})
    err = capfd.readouterr().err
    assert "POST /v1/auth/login 200" in err
    assert "POST /v1/auth/logout 204" in err
    secrets = [value for pair in (tokens, again) for name, value in pair.items() if name.endswith("_token")]
    for word in ("canary", "ada@example.com", "argon2id", *secrets, *map(digest_of, secrets)):
        assert word not in err


@pytest.mark.parametrize("sent", [b"a\r\nb", b"x" * 129, b"a b", b'{"level": "error"}'])
async def test_a_header_can_not_write_a_line_of_the_log(
    client: httpx2.AsyncClient, root_logger: logging.Logger, capfd: pytest.CaptureFixture[str], sent: bytes
) -> None:
    configure_logs(Settings(log_format="json"))
    logging.getLogger("httpx2").setLevel("WARNING")
    await client.get("/v1/users/%0d%0aforged", headers={b"X-Request-ID": sent})
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    [access] = [line for line in lines if line["logger"] == "gatehouse.access"]
    assert len(access["request_id"]) == 32
    assert "\n" not in access["event"]
    assert "\r" not in access["event"]
