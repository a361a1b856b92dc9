"""The limit: Starlette and asyncpg, nothing between."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.http.schemas import DATABASE_URL, LIMIT, POOL_SIZE, next_id
from benchmarks.http.statements import COUNT, GET, INSERT, LIST, PATCH

IDS = ("id", "created_by", "updated_by")
TIMES = ("created_at", "updated_at", "deleted_at")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(DATABASE_URL, min_size=POOL_SIZE, max_size=POOL_SIZE) as app.state.pool:
        yield


def body(row: Any) -> dict[str, Any]:
    found = dict(row)
    for name in IDS:
        found[name] = str(found[name])
    for name in TIMES:
        found[name] = found[name] and found[name].isoformat()
    return found


def answer(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type="application/json")


async def get(request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(GET, int(request.path_params["id"]))
    return answer(body(row)) if row else answer(None, 404)


async def page(request: Request) -> Response:
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(LIST, int(request.query_params.get("limit", LIMIT)))
        total = await connection.fetchval(COUNT)
    return answer({"items": [body(row) for row in rows], "total": total})


async def patch(request: Request) -> Response:
    name = (await request.json())["display_name"]
    row = await request.app.state.pool.fetchrow(PATCH, int(request.path_params["id"]), name)
    return answer(body(row)) if row else answer(None, 404)


async def pair(request: Request) -> Response:
    sent = await request.json()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        rows = [await connection.fetchrow(INSERT, next_id(), sent[name]) for name in ("first", "second")]
    return answer([body(row) for row in rows], 201)


app = Starlette(
    routes=[
        Route("/accounts/{id}", get),
        Route("/accounts", page),
        Route("/accounts/{id}", patch, methods=["PATCH"]),
        Route("/pairs", pair, methods=["POST"]),
    ],
    lifespan=lifespan,
)
