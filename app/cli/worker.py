"""`gatehouse worker`: the Celery worker as a process of its own, and a relay beside it."""

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from typing import Annotated, Final

import typer

from app.cli.command import container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import say
from app.cli.until_told import until_told
from containers import Container
from services.messaging.outage import refuse_hopeless
from services.messaging.publisher import BrokerRefused

PROGRAM: Final = ("-m", "app.worker")
"""Run as a module, as commands must not import `app.worker`."""


application = typer.Typer()


@container_command(application, "worker")
async def worker(
    container: Container,
    pool: Annotated[str | None, typer.Option(help="prefork, threads or solo; else as configured.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1000, help="Processes or threads.")] = None,
    relay: Annotated[bool, typer.Option("--relay/--no-relay", help="Relay the outbox, too.")] = True,
    beat: Annotated[bool, typer.Option("--beat", help="Send the periodic tasks, too: on one worker of all.")] = False,
) -> int:
    """Run tasks until interrupted or terminated; those that are under way then end first."""
    try:
        await refuse_hopeless(container.broker())
    except BrokerRefused as error:
        say(f"error: {error}")
        return ExitCode.FAILED
    settings = container.settings()
    arguments = [
        *(f"--pool={pool or settings.worker.pool}", f"--concurrency={concurrency or settings.worker.concurrency}"),
        *(f"--loglevel={settings.log_level}", "--without-gossip", "--without-mingle"),
        *(["--beat"] if beat else []),
    ]
    # In a session of its own: Ctrl-C reaches this process only, which then sends SIGTERM to the worker once.
    process = await asyncio.create_subprocess_exec(sys.executable, *PROGRAM, *arguments, start_new_session=True)
    try:
        told = await until_told(_watch(process, container if relay else None))
    finally:
        await _end(process)
    if not told:
        say(f"error: the worker ended by itself, with code {process.returncode}")
    return ExitCode.DONE if told else ExitCode.FAILED


async def _watch(process: Process, relaying: Container | None) -> None:
    """Run the relay, if there is one, until the worker process ends. Raises what the relay raises."""
    if relaying is None:
        await process.wait()
        return
    relay = asyncio.create_task(relaying.outbox_relay().run())
    try:
        ended = asyncio.create_task(process.wait())
        await asyncio.wait((ended, relay), return_when=asyncio.FIRST_COMPLETED)
        if relay.done():
            relay.result()
    finally:
        relay.cancel()
        ended.cancel()
        await asyncio.wait((relay, ended))


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await process.wait()
