"""`/health`: alive (no I/O), and ready (the database answers at the newest revision)."""

import asyncio
from http import HTTPStatus
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.dependencies import ContainerDep
from database.errors import DatabaseError

router = APIRouter(prefix="/health", tags=["health"])

TIMEOUT: Final = 2.0
"""Seconds after which a database that hasn't answered counts as unreachable."""


class Live(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`database`: ok or unreachable. `migrations`: ok, behind, or unknown. `pool`: connections in use, and at most."""

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "unreachable"]
    migrations: Literal["ok", "behind", "unknown"]
    pool_in_use: int
    pool_size: int


@router.get("/live")
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", responses={503: {"model": Ready}})
async def ready(container: ContainerDep, response: Response) -> Ready:
    """The database answers and its schema is the newest; 503 otherwise. Tells no version and no host."""
    schema = container.schema()
    settings = container.settings().database
    database: Literal["ok", "unreachable"] = "ok"
    migrations: Literal["ok", "behind", "unknown"] = "unknown"
    try:
        async with asyncio.timeout(TIMEOUT):
            migrations = "ok" if await schema.current() == schema.head else "behind"
    except (DatabaseError, TimeoutError):
        database = "unreachable"
    status: Literal["ok", "unavailable"] = "ok" if migrations == "ok" else "unavailable"
    if status != "ok":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = "1"
    return Ready(
        status=status,
        database=database,
        migrations=migrations,
        pool_in_use=schema.connections_in_use,
        pool_size=settings.pool_size + settings.max_overflow,
    )
