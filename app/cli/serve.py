"""`gatehouse serve`: the HTTP server."""

import asyncio
from typing import Annotated

import typer

from app.cli.exit_codes import ExitCode
from app.cli.server import Server
from app.logs import configure_logs
from containers import Container

application = typer.Typer()


@application.command("serve")
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
) -> int:
    """Serve the HTTP API until interrupted or terminated."""
    container = Container() if context.obj is None else context.obj
    settings = container.settings()
    configure_logs(settings)
    server = Server(
        container,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        started = runner.run(server.until_told())
    return ExitCode.DONE if started else ExitCode.FAILED
