"""create_app: the ASGI application over a container."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from app.api import health, user_csv, users
from app.api.authentication import Authentication
from app.api.body_limit import BodyLimit, BodyLimits
from app.api.media_type import json_body_only
from app.api.problems import Problem, install_problems
from app.api.request_context import RequestContext
from containers import Container, running
from settings import Environment

PREFIX = "/v1"


def create_app(container: Container | None = None) -> FastAPI:
    """The accounts service over HTTP. Without a container each start builds one from the environment; a given one
    is entered by the lifespan (or by the caller), and serves this application only as long as it runs.
    """
    settings = (Container() if container is None else container).settings()
    public_docs = settings.environment is Environment.DEVELOPMENT

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(container) as running_container:
            app.state.container = running_container
            yield

    app = FastAPI(
        title="Gatehouse accounts",
        version="1",
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
        docs_url="/docs" if public_docs else None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json" if public_docs else None,
        responses={"default": {"model": Problem, "description": "A problem document (RFC 9457)"}},
    )
    app.state.container = container
    install_problems(app)
    # The last one added is the outermost.
    limits = BodyLimits(settings.max_body_bytes, {f"{PREFIX}/users/import": settings.csv.max_bytes})
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(Authentication, prefix=PREFIX)
    app.add_middleware(RequestContext, limits=limits)
    app.include_router(user_csv.router, prefix=PREFIX)  # before /users/{user_id}
    app.include_router(users.router, prefix=PREFIX, dependencies=[Depends(json_body_only)])
    app.include_router(health.router)
    return app
