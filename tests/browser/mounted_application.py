"""The application below `/accounts` of another one. Run as a program: `--port PORT`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from app.api import create_app
from containers import Container, running


def application() -> FastAPI:
    container = Container()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(container):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/accounts", create_app(container))
    return outer


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[-1]), log_level="warning")
