"""Admission: each request's lane to the database's connections, and its deadline.

A route is a lane of its own, so that slow requests to one leave connections to the others; logins and probes have
places that no other route can take. A request that gets no connection in time is answered 503 with Retry-After.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import PREFIX, access_table, method_of, path_of
from app.api.errors import MalformedHeader
from app.api.problems import problem, problem_for
from domain.caller import caller_gone
from domain.errors import ClientGone
from settings import HttpSettings, Settings
from unitwork import Lane, Rank, in_lane, within

HEADER: Final = "X-Request-Timeout"
"""Header of a request's time limit in seconds, such as `2.5`."""
GRPC_HEADER: Final = "grpc-timeout"
"""gRPC's own header: up to eight digits and a unit, such as `250m`."""
GRPC_UNIT_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
MAX_TIMEOUT_SECONDS: Final = 86_400.0
"""Longest limit in seconds that a request may ask for."""
LATE_SECONDS: Final = 0.5
"""Seconds after the deadline in which a unit ends by itself, and tells what became of it. Then the request is
cancelled.
"""
PROBES: Final = "/health/"
ENTRANCES: Final = f"{PREFIX}/auth/"
MONITOR: Final = f"{PREFIX}/monitor"
"""The monitor is needed most when every other place is taken."""
STREAMS: Final = frozenset({f"GET {PREFIX}/users/export", f"POST {PREFIX}/users/import"})
"""Routes whose requests go on for long; together they hold a quarter of the connections."""
STREAM_SHARE: Final = 0.25
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_GRPC: Final = re.compile(r"([0-9]{1,8})([HMSmun])")
UNKNOWN_OUTCOME: Final = (
    "the request was given up at its deadline, while a change was under way: everything was stored, or nothing; look"
)
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Admission:
    """Middleware around `Authentication`, which needs a connection itself. The settings are read at each request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        container = scope["app"].state.container if scope["type"] in {"http", "websocket"} else None
        if container is None:  # nothing serves yet: no connection is taken, and the answer says so
            await self._app(scope, receive, send)
            return
        settings: Settings = container.settings()
        try:
            timeout = _timeout(Headers(scope=scope), settings.http)
        except MalformedHeader as error:
            await problem_for(error, scope["path"])(scope, receive, send)
            return
        wait = settings.http.max_wait
        if wait is None:
            await self._within(timeout, scope, receive, send)
            return
        with in_lane(_lane(scope), wait=min(wait, settings.database.pool_timeout), gone=_gone):
            await self._within(timeout, scope, receive, send)

    async def _within(self, limit: float | None, scope: Scope, receive: Receive, send: Send) -> None:
        if limit is None:
            await self._app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            async with _bounded(limit):
                await self._app(scope, receive, noted)
        except TimeoutError:
            if started or scope["type"] != "http":
                raise
            await _late(scope)(scope, receive, send)


async def _gone() -> None:
    """Raise `ClientGone` once the client has hung up: nothing is begun for it."""
    gone = caller_gone()
    if gone is not None:
        await gone()
        raise ClientGone


@asynccontextmanager
async def _bounded(limit: float) -> AsyncIterator[None]:
    with within(limit):
        async with asyncio.timeout(limit + LATE_SECONDS):
            yield


def _late(scope: Scope) -> ASGIApp:
    """Return the answer to a request that outlived its deadline and didn't say itself what became of it."""
    if scope["method"] in SAFE_METHODS:
        detail = "the request took longer than its deadline, and was given up"
        return problem(HTTPStatus.GATEWAY_TIMEOUT, "timeout", detail, scope["path"])
    return problem(HTTPStatus.GATEWAY_TIMEOUT, "outcome_unknown", UNKNOWN_OUTCOME, scope["path"])


def _timeout(headers: Headers, settings: HttpSettings) -> float | None:
    """Return the request's limit in seconds: its own, but no longer than the service's. Raises `MalformedHeader`."""
    asked: float | None = None
    if (text := headers.get(HEADER)) is not None:
        if not _SECONDS.fullmatch(text.strip()) or not 0 < (asked := float(text)) <= MAX_TIMEOUT_SECONDS:
            raise MalformedHeader(HEADER, f"seconds above 0 and up to {MAX_TIMEOUT_SECONDS:.0f}, such as 2.5")
    elif settings.grpc_timeout and (text := headers.get(GRPC_HEADER)) is not None:
        if (found := _GRPC.fullmatch(text.strip())) is None or not int(found[1]):
            raise MalformedHeader(GRPC_HEADER, "up to eight digits and one of H, M, S, m, u, n, such as 250m")
        asked = min(int(found[1]) * GRPC_UNIT_SECONDS[found[2]], MAX_TIMEOUT_SECONDS)
    limits = [limit for limit in (asked, settings.request_timeout) if limit is not None]
    return min(limits, default=None)


def _lane(scope: Scope) -> Lane:
    """Return the lane of the request's route. Requests that no route answers share one."""
    path = path_of(scope)
    if path.startswith(PROBES):
        return _PROBES
    if path.startswith(MONITOR):
        return _MONITOR
    address = access_table(scope["app"]).address(path)
    if address is None:
        return _NOWHERE
    method = method_of(scope)
    return _lane_of(f"{'GET' if method == 'HEAD' else method} {address.path}" if address.find(method) else address.path)


@cache
def _lane_of(line: str) -> Lane:
    if line in STREAMS:
        return _STREAMS
    rank = Rank.ENTRANCE if line.partition(" ")[2].startswith(ENTRANCES) else Rank.USUAL
    return Lane(line, rank)


_PROBES: Final = Lane("probes", Rank.PROBE, 1.0)
_MONITOR: Final = Lane("monitor", Rank.ENTRANCE, share=0.1)
_NOWHERE: Final = Lane("no route", share=STREAM_SHARE)
_STREAMS: Final = Lane("imports and exports", share=STREAM_SHARE)
