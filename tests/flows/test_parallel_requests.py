"""200 clients at once, over a real server."""

import asyncio
import collections
import socket

import httpx2
import uvicorn
from fastapi import FastAPI

from containers import Container


async def created(client: httpx2.AsyncClient, name: str) -> httpx2.Response:
    """As a client does that is told to come again: a slow machine can't serve 200 at once within the pool's timeout."""
    for _ in range(10):
        response = await client.post("/v1/users", json={"email": f"{name}@example.com"})
        if response.status_code != 503:
            break
        await asyncio.sleep(float(response.headers["Retry-After"]))
    return response


async def test_two_hundred_parallel_creates_make_two_hundred_rows(
    app: FastAPI, container: Container, admin_token: str
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx2.AsyncClient(
                base_url=address,
                headers={"Authorization": f"Bearer {admin_token}"},
                timeout=30,
                trust_env=False,
                limits=httpx2.Limits(max_connections=200),
            ) as client:
                responses = await asyncio.gather(*(created(client, f"user{number}") for number in range(200)))
        finally:
            server.should_exit = True
            await serving

    assert collections.Counter(response.status_code for response in responses) == {201: 200}
    ids = {response.json()["id"] for response in responses}
    assert len(ids) == 200
    assert await container.user_dao().count().rows() == 201
    assert container.schema().connections_in_use == 0
    assert {response.json()["email"] for response in responses} == {
        f"user{number}@example.com" for number in range(200)
    }


async def test_of_a_hundred_parallel_creates_of_one_address_one_wins(
    client: httpx2.AsyncClient, container: Container
) -> None:
    responses = await asyncio.gather(*(created(client, "ada") for _ in range(100)))
    assert collections.Counter(response.status_code for response in responses) == {201: 1, 409: 99}
    assert container.schema().connections_in_use == 0
