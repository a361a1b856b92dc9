"""`/monitor`, its feed, and `/metrics`: the activity of this process's sessions.

The page is static and public; its content comes from the feed, which needs an admin's token. The feed holds no database
connection. It ends on shutdown, and after `LONGEST`: the page then reconnects, which checks the token again.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import ContainerDep, HeadOnlyDep, admin
from app.api.media_type import JsonRoute
from app.api.page_files import page_file
from containers import Container
from unitwork.errors import DatabaseError
from unitwork.monitor import picture
from unitwork.monitor.metrics import CONTENT_TYPE

router = APIRouter(include_in_schema=False, route_class=JsonRoute)

EVERY: Final = 1.0
"""Default number of seconds between two events of the feed."""
LONGEST: Final = 60.0
"""Seconds after which a feed ends."""
LAG_EVERY: Final = 5.0
LAG_WITHIN: Final = 0.3
"""Seconds between two queries for the outbox's lag, and the timeout of each (`LAG_WITHIN`)."""
FILES: Final = frozenset({"monitor.css", "monitor.js", "uplot.css", "uplot.js"})


class ThresholdChanges(BaseModel):
    """Thresholds to change: an absent one is unchanged, null turns its reports off."""

    model_config = ConfigDict(extra="forbid")

    slow_sql: float | None = Field(default=None, gt=0)
    session_leak: float | None = Field(default=None, gt=0)
    idle_in_transaction: float | None = Field(default=None, gt=0)
    lock_wait: float | None = Field(default=None, gt=0)
    repeated_sql: int | None = Field(default=None, ge=2)


@router.get("/metrics")
async def metrics(container: ContainerDep) -> Response:
    """Return metrics in Prometheus's format, of all processes that share `GATEHOUSE_METRICS_DIR`."""
    gauges = await _outbox_gauges(container)
    return Response(container.sql_metrics().text(gauges), media_type=CONTENT_TYPE)


@router.get("/monitor")
async def monitor() -> Response:
    """Serve the page."""
    return page_file("monitor.html", frozenset({"monitor.html"}))


@router.get("/monitor/{name}")
async def monitor_file(name: str) -> Response:
    """Serve a script or style sheet of the page."""
    return page_file(name, FILES)


@router.get("/v1/monitor", dependencies=[Depends(admin)])
async def monitor_picture(container: ContainerDep) -> dict[str, Any]:
    """Return the current state, with the samples of the latest minutes."""
    return picture(container.sql_monitor(), history=True) | {"outbox": await _outbox(container)}


@router.get("/v1/monitor/feed", dependencies=[Depends(admin)], response_class=EventSourceResponse)
async def monitor_feed(
    container: ContainerDep, head: HeadOnlyDep = False, every: Annotated[float, Query(ge=0.1, le=60)] = EVERY
) -> AsyncIterator[ServerSentEvent]:
    """Stream the current state every `every` seconds; the first event has the samples of the latest minutes."""
    if head:
        return
    ending = container.lifetime().drain.announced
    until = time.monotonic() + LONGEST
    outbox: dict[str, Any] | None = None
    asked = first = 0.0
    while not ending.is_set() and time.monotonic() < until:
        if time.monotonic() - asked >= LAG_EVERY:
            outbox, asked = await _outbox(container), time.monotonic()
        yield ServerSentEvent(data=picture(container.sql_monitor(), history=not first) | {"outbox": outbox})
        first = 1.0
        try:
            async with asyncio.timeout(every):
                await ending.wait()
        except TimeoutError:
            continue


@router.patch("/v1/monitor/thresholds", dependencies=[Depends(admin)])
async def change_thresholds(changes: ThresholdChanges, container: ContainerDep) -> dict[str, Any]:
    """Change thresholds of this process until it ends. Returns all of them."""
    thresholds = container.sql_monitor().thresholds
    for name in changes.model_fields_set:
        setattr(thresholds, name, getattr(changes, name))
    return vars(thresholds)


async def _outbox(container: Container) -> dict[str, Any] | None:
    """Return the outbox's backlog; None when the connection pool is full, or the query fails or times out."""
    pool = container.sql_monitor().pools.state()
    if pool.capacity and pool.in_use >= pool.capacity:
        return None
    try:
        async with asyncio.timeout(LAG_WITHIN):
            lag = await container.outbox_service().lag()
    except (DatabaseError, TimeoutError):
        return None
    oldest = None if lag.oldest is None else max(time.time() - lag.oldest.timestamp(), 0.0)
    return {"waiting": lag.waiting, "parked": lag.parked, "lag": None if oldest is None else round(oldest, 2)}


async def _outbox_gauges(container: Container) -> dict[str, tuple[str, float]]:
    outbox = await _outbox(container)
    if outbox is None:
        return {}
    return {
        "gatehouse_outbox_waiting": ("Messages that wait for their relay", outbox["waiting"]),
        "gatehouse_outbox_parked": ("Messages that were given up", outbox["parked"]),
        "gatehouse_outbox_lag_seconds": ("Age of the oldest message that waits", outbox["lag"] or 0.0),
    }
