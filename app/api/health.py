"""`/health`: liveness (no I/O), and readiness (database reachable, at a revision that this code works with, and a
connection free)."""

import asyncio
from http import HTTPStatus
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.api.authentication import serving
from app.api.problems import Problem, problem, problem_for
from unitwork import Fit, Schema, StoredRevision
from unitwork.errors import DatabaseError, LifetimeError, NotPrimary

router = APIRouter(prefix="/health", tags=["health"])

ANSWERS_WITHIN: Final = 0.5
"""Seconds after which a database that hasn't answered counts as unreachable."""
PIECES: Final = 5
"""Number of intervals that the wait is split into: a stalled event loop then uses up one of them, not all."""
FREE_WITHIN: Final = 0.05
"""Seconds after which a pool without a free connection counts as exhausted. A burst is over sooner."""
RETRY_AFTER: Final = "1"
_asking: Final[set[asyncio.Task[StoredRevision]]] = set()
"""References to running tasks, as the event loop holds weak ones only."""

Database = Literal["ok", "read_only", "unreachable", "unknown"]
Migrations = Literal["ok", "behind", "ahead", "unknown"]


MIGRATIONS: Final[dict[Fit, Migrations]] = {
    Fit.CURRENT: "ok",
    Fit.NEWER: "ok",
    Fit.BEHIND: "behind",
    Fit.AHEAD: "ahead",
}


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`pool_in_use`, `pool_size`: connections in use, and at most."""

    status: Literal["ok"] = "ok"
    database: Literal["ok"] = "ok"
    migrations: Literal["ok"] = "ok"
    pool_in_use: int
    pool_size: int


class NotReady(Problem):
    """`code`: database_unreachable, database_read_only, migrations_behind, migrations_ahead, pool_exhausted or
    not_started (then nothing was asked).
    """

    database: Database
    migrations: Migrations
    pool_in_use: int
    pool_size: int


CODES: Final = {
    "read_only": "database_read_only",
    "unreachable": "database_unreachable",
    "unknown": "pool_exhausted",
}
DETAIL: Final = {
    "database_unreachable": "the database doesn't answer",
    "database_read_only": "the database takes no writes: it is a standby, or was demoted",
    "migrations_behind": "the database is not at the newest revision",
    "migrations_ahead": "the database is at a newer revision, with which this release doesn't work",
    "pool_exhausted": "every connection is in use, and none became free",
}


@router.get("/live")
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", response_model=Ready, responses={503: {"model": NotReady}})
async def ready(request: Request) -> Any:
    """The database answers and takes writes, its schema is one that this release works with, and a connection is to be
    had; 503 otherwise. Answers within a second whatever the database does, waits for no place in the pool, and tells no
    version and no host.
    """
    in_use = size = 0
    try:
        container = serving(request.app)
        schema, settings = container.schema(), container.settings().database
        database, migrations = await _ask(schema)
        in_use, size = schema.connections_in_use, settings.pool_size + settings.max_overflow
    except LifetimeError as error:
        facts = {"database": "unknown", "migrations": "unknown", "pool_in_use": in_use, "pool_size": size}
        return problem_for(error, request.url.path, facts=facts)
    if migrations == "ok" and database == "ok":
        return Ready(pool_in_use=in_use, pool_size=size)
    code = f"migrations_{migrations}" if database == "ok" else CODES[database]
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code,
        DETAIL[code],
        request.url.path,
        headers={"Retry-After": RETRY_AFTER},
        facts={"database": database, "migrations": migrations, "pool_in_use": in_use, "pool_size": size},
    )


async def _ask(schema: Schema) -> tuple[Database, Migrations]:
    try:
        async with asyncio.timeout(FREE_WITHIN):
            while schema.pool_full:  # noqa: ASYNC110 - a place in the pool's queue would be a request's
                await asyncio.sleep(FREE_WITHIN / 10)
    except TimeoutError:
        return "unknown", "unknown"
    asking = asyncio.create_task(schema.stored())
    _asking.add(asking)
    asking.add_done_callback(_asking.discard)
    for _ in range(PIECES):
        done, _pending = await asyncio.wait((asking,), timeout=ANSWERS_WITHIN / PIECES)
        if done:
            break
    if not asking.done():
        asking.cancel()  # not awaited: the cancellation itself may take long
        return "unreachable", "unknown"
    try:
        stored = asking.result()
    except NotPrimary:
        return "read_only", "unknown"
    except DatabaseError:
        return "unreachable", "unknown"
    fit = await asyncio.to_thread(schema.fit, stored)  # in a thread, as it reads files
    return "ok" if stored.writable else "read_only", MIGRATIONS[fit]
