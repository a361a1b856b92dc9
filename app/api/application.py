"""create_app: the ASGI application over a container."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api import auth, health, jobs, monitor, own_account, user_csv, users
from app.api.access import PREFIX, AccessTable, listed_only
from app.api.authentication import Authentication
from app.api.body_limit import BodyLimit, BodyLimits
from app.api.media_type import json_body_only
from app.api.openapi import document_problems
from app.api.problems import Problem, install_problems
from app.api.request_context import RequestContext
from app.api.security_headers import SecurityHeaders
from app.background import BackgroundTasks
from containers import Container, running
from settings import Environment, HttpSettings


def create_app(container: Container | None = None) -> FastAPI:
    """The accounts service over HTTP. Without a container each start builds one from the environment; a given one
    is entered by the lifespan (or by the caller), and serves this application only as long as it runs.

    Without its lifespan (a mounted application has none) what needs the database answers 503, until a container that
    runs is its `state.container`.
    """
    settings = (Container() if container is None else container).settings()
    public_docs = settings.environment is Environment.DEVELOPMENT

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(container) as running_container, BackgroundTasks.of(settings) as background:
            app.state.container, app.state.background = running_container, background
            running_container.sql_metrics()  # writes for the other processes from now on, asked or not
            yield

    app = FastAPI(
        title="Gatehouse accounts",
        version="1",
        lifespan=lifespan,
        dependencies=[Depends(listed_only)],
        generate_unique_id_function=lambda route: route.name,
        docs_url="/docs" if public_docs else None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json" if public_docs else None,
        responses={"default": {"model": Problem, "description": "A problem document (RFC 9457)"}},
    )
    app.state.container, app.state.background = container, BackgroundTasks()
    app.state.access_table = AccessTable()
    install_problems(app)
    # The last one added is the outermost.
    limits = BodyLimits(settings.max_body_bytes, {f"{PREFIX}/users/import": settings.csv.max_bytes})
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(Authentication)
    app.add_middleware(RequestContext, limits=limits, debug=settings.debug)
    _add_browser_rules(app, settings.http)
    for module in (auth, own_account):
        app.include_router(module.router, prefix=PREFIX, dependencies=[Depends(json_body_only)])
    app.include_router(user_csv.router, prefix=PREFIX)  # before /users/{user_id}
    app.include_router(jobs.router, prefix=PREFIX)
    app.include_router(users.router, prefix=PREFIX, dependencies=[Depends(json_body_only)])
    app.include_router(health.router)
    app.include_router(monitor.router)
    document_problems(app)
    return app


def _add_browser_rules(app: FastAPI, http: HttpSettings) -> None:
    """Which pages may call, and what every answer tells browsers; and where the client is, which all the rest asks."""
    if http.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=http.cors_origins,
            allow_credentials=http.cors_credentials,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-ID"),
            expose_headers=("ETag", "Link", "Location", "Retry-After", "X-Request-ID"),
        )
    app.add_middleware(SecurityHeaders, docs=app.docs_url)
    if http.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(network) for network in http.trusted_proxies])
