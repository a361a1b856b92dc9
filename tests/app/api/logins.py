"""Ada registers, logs in and refreshes over HTTP."""

from typing import Any

import httpx2

PASSWORD = "correct horse battery"
ADA: dict[str, Any] = {"email": "Ada@example.com", "phone": "+1 415 555 0132", "password": PASSWORD}


async def register(client: httpx2.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/v1/auth/register", json=ADA | changes)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


async def login(client: httpx2.AsyncClient, login: str = "ada@example.com", password: str = PASSWORD) -> dict[str, Any]:
    answer = await client.post("/v1/auth/login", json={"login": login, "password": password})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def refresh(client: httpx2.AsyncClient, tokens: dict[str, Any]) -> httpx2.Response:
    return await client.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
