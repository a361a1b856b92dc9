"""`gatehouse serve`: the HTTP server."""

import asyncio
from typing import Annotated

import typer
import uvicorn

from app.cli.exit_codes import ExitCode
from app.logs import configure_logs
from containers import Container, running
from settings import Settings

APPLICATION = "app.api:create_app"
"""Named, not imported: commands and HTTP know nothing of each other."""


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
) -> int:
    """Serve the HTTP API until interrupted."""
    settings = (Container() if context.obj is None else context.obj).settings()
    configure_logs(settings)
    asyncio.run(_start(settings))
    try:
        uvicorn.run(
            APPLICATION,
            factory=True,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            log_config=None,
            # Ours names no query, as that holds e-mail addresses.
            access_log=False,
            server_header=False,
        )
    except SystemExit:
        # The server has said why it can't start; its exit code 3 means something else here.
        return ExitCode.FAILED
    return ExitCode.DONE


async def _start(settings: Settings) -> None:
    """Raises in one line what the server would log with a stack, such as a driver that isn't installed."""
    async with running(Container(settings=settings)):
        pass
