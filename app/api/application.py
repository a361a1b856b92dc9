"""create_app: the ASGI application over a container."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api import (
    audit,
    auth,
    devices,
    docs,
    health,
    jobs,
    keys,
    mailed_links,
    monitor,
    own_account,
    own_data,
    user_csv,
    users,
)
from app.api.access import DOCS, PREFIX, TABLE, AccessTable, listed_only, warn_of_unlisted
from app.api.addresses import Addresses
from app.api.admission import Admission
from app.api.attempt_limits import AttemptLimits
from app.api.authentication import Authentication
from app.api.body_limit import ENVELOPE_BYTES, BodyLimit, BodyLimits
from app.api.caller import Caller
from app.api.forwarded_prefix import ForwardedPrefix
from app.api.openapi import document_problems
from app.api.problems import Problem, database_errors, install_problems
from app.api.query_text import each_once
from app.api.read_positions import POSITION, READ_FROM, ReadPositions
from app.api.request_context import RequestContext
from app.api.security_headers import SecurityHeaders
from app.background import BackgroundTasks
from containers import Container, running
from settings import Environment, HttpSettings
from unitwork import warm
from unitwork.errors import DatabaseError

ASKED: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Prefer",
    POSITION,
    "X-Request-ID",
    "X-Request-Timeout",
)
ANSWERED: Final = (
    "Accept-Patch",
    "Allow",
    "Content-Disposition",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    POSITION,
    READ_FROM,
    "X-Request-ID",
)
"""Headers that a page of an allowed origin may send (`ASKED`) and read (`ANSWERED`): those that the guides name."""

WARM_SECONDS: Final = 2.0
"""Seconds that opening the pool's connections may keep the service from starting."""


def create_app(container: Container | None = None) -> FastAPI:
    """Create the HTTP application of the accounts service. Without a container each start builds one from the
    environment; a given one is entered by the lifespan (or by the caller).

    An application whose lifespan doesn't run, such as a mounted one, answers 503 to requests that need the database
    until its `state.container` is set to a running container.
    """
    settings = (Container() if container is None else container).settings()
    public_docs = settings.environment is Environment.DEVELOPMENT

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(container) as running_container, BackgroundTasks.of(settings) as background:
            app.state.container, app.state.background = running_container, background
            running_container.sql_metrics()  # starts publishing this process's metrics for the others
            warn_of_unlisted(app)
            await warmed(running_container)
            try:
                yield
            finally:
                database_errors.flush()

    app = FastAPI(
        title="Gatehouse accounts",
        version="1",
        lifespan=lifespan,
        dependencies=[Depends(listed_only), Depends(each_once)],
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,  # FastAPI's pages load scripts from a CDN; `app.api.docs` doesn't
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json" if public_docs else None,
        responses={"default": {"model": Problem, "description": "A problem document (RFC 9457)"}},
    )
    app.state.container, app.state.background = container, BackgroundTasks()
    app.state.access_table = AccessTable(
        {line: access for line, access in TABLE.items() if public_docs or line not in DOCS}
    )
    limits = BodyLimits(
        settings.max_body_bytes, {f"POST {PREFIX}/users/import": settings.csv.max_bytes + ENVELOPE_BYTES}
    )
    app.state.body_limits = limits
    install_problems(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(AttemptLimits)
    app.add_middleware(Addresses)
    app.add_middleware(Authentication)
    app.add_middleware(Admission)
    app.add_middleware(Caller)
    if settings.database.replica_urls:
        app.add_middleware(ReadPositions)
    app.add_middleware(RequestContext, limits=limits, debug=settings.debug)
    _add_browser_rules(app, settings.http)
    app.include_router(keys.introspection_router, prefix=PREFIX)
    before_users = (audit, auth, mailed_links, own_account, own_data, devices, keys, user_csv, jobs)
    for module in (*before_users, users):  # what is before /users/{user_id} isn't it
        app.include_router(module.router, prefix=PREFIX)
    if public_docs:
        app.include_router(docs.router)
    app.include_router(health.router)
    app.include_router(monitor.router)
    document_problems(app)
    return app


async def warmed(container: Container) -> None:
    """Open the pool's connections before the first request, as far as that succeeds within `WARM_SECONDS`: without a
    database the service starts all the same, and readiness tells.
    """
    with suppress(DatabaseError, TimeoutError):
        async with asyncio.timeout(WARM_SECONDS):
            await warm(container.engine())


def _add_browser_rules(app: FastAPI, http: HttpSettings) -> None:
    """Add CORS, security headers, and, outermost, the client's address and path prefix from trusted proxies."""
    if http.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=http.cors_origins,
            allow_credentials=http.cors_credentials,
            allow_methods=("GET", "HEAD", "POST", "PATCH", "DELETE"),
            allow_headers=ASKED,
            expose_headers=ANSWERED,
        )
    app.add_middleware(SecurityHeaders)
    if http.trusted_proxies:
        networks = [str(network) for network in http.trusted_proxies]
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=networks)
        app.add_middleware(ForwardedPrefix, proxies=http.trusted_proxies)
