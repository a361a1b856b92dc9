"""`gatehouse serve`: the HTTP server, in this process or in several."""

import asyncio
import socket
from typing import Annotated, Final

import typer

from app.cli.exit_codes import ExitCode
from app.cli.listening import named, require_free
from app.cli.server import Server
from app.cli.server_processes import ServerProcesses, listeners
from app.logs import configure_logs
from app.private_files import keep_private
from app.with_parent import end_with_parent
from containers import Container
from settings import Settings

application = typer.Typer()

CHOICES: Final = "--port NUMBER, or PORT=NUMBER in the environment"


@application.command("serve")
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes, each with a pool of its own.")] = 1,
    listener: Annotated[int | None, typer.Option(hidden=True, help="An open socket to take over.")] = None,
    watcher: Annotated[int | None, typer.Option(hidden=True, help="The process to end with.")] = None,
) -> int:
    """Serve the HTTP API until interrupted or terminated."""
    container = Container() if context.obj is None else context.obj
    settings: Settings = container.settings()
    configure_logs(settings)
    keep_private(settings.var_dir)
    host = settings.host if host is None else host
    port = settings.port if port is None else port
    if workers > 1:
        if context.obj is not None:
            msg = "a container can't be in several processes: each builds its own from the environment"
            raise typer.BadParameter(msg, param_hint="--workers")
        return _serve_by(workers, host, port, settings)
    if watcher is not None:
        end_with_parent(watcher)  # a killed parent sends no SIGTERM
    if listener is None:
        require_free(host, port, CHOICES)
    server = Server(container, host=host, port=port)
    sockets = None if listener is None else [socket.socket(fileno=listener)]
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        started = runner.run(server.until_told(sockets))
    return ExitCode.DONE if started else ExitCode.FAILED


def _serve_by(workers: int, host: str, port: int, settings: Settings) -> int:
    with named(host, port, CHOICES):
        sockets = listeners(host, port, workers)
    try:
        served = asyncio.run(ServerProcesses(settings, sockets).until_told())
    finally:
        for one in sockets:
            one.close()
    return ExitCode.DONE if served else ExitCode.FAILED
