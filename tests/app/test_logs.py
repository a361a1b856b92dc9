"""Logs: who and which request, and no value that somebody sent."""

import json
import logging

import httpx2
import pytest

from app.logs import configure_logs
from settings import Settings


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
