"""`gatehouse serve`: the HTTP server."""

from typing import Annotated

import typer
import uvicorn

from app.logs import configure_logs
from containers import Container

APPLICATION = "app.api:create_app"
"""Named, not imported: commands and HTTP know nothing of each other."""


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Serve the HTTP API until interrupted."""
    settings = (Container() if context.obj is None else context.obj).settings()
    configure_logs(settings)
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
