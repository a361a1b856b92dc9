"""`gatehouse worker`: the Celery worker as a process of its own, a relay beside it, and beat as another process."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

import typer

from app.cli.command import container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import say
from app.cli.server import told_by_signals
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
    queues: Annotated[
        str | None, typer.Option(help="Only from these queues, with commas between them; else from all.")
    ] = None,
    beat: Annotated[bool, typer.Option("--beat", help="Send the periodic tasks, too: on one worker of all.")] = False,
) -> int:
    """Run tasks until interrupted or terminated; those that are under way then end first. A second signal ends them."""
    try:
        await refuse_hopeless(container.broker())
    except BrokerRefused as error:
        say(f"error: {error}")
        return ExitCode.FAILED
    settings = container.settings()
    level = f"--loglevel={settings.log_level}"
    arguments = [
        *(f"--pool={pool or settings.worker.pool}", f"--concurrency={concurrency or settings.worker.concurrency}"),
        *(level, "--without-gossip", "--without-mingle"),
        f"--queues={queues or ','.join(sorted({settings.worker.queue, *settings.outbox.queues}))}",
    ]
    processes: dict[str, Process] = {}
    told = _Signals(processes)
    with told_by_signals(told.tell):
        try:
            processes["worker"] = await _started("worker", *arguments)
            if beat:
                processes["beat"] = await _started("beat", level)
            ended = await told.until(_watch(processes, container if relay else None))
            if ended is not None:
                say(f"error: the {ended} ended by itself, with code {processes[ended].returncode}")
        finally:
            await _end(processes)
    if ended is not None:
        return ExitCode.FAILED
    return ExitCode.TERMINATED if told.forced else ExitCode.DONE


class _Signals:
    """Answer to SIGINT and SIGTERM: the first has the processes end when their tasks have, the second kills them."""

    def __init__(self, processes: Mapping[str, Process]) -> None:
        self._processes = processes
        self._watching: asyncio.Task[str | None] | None = None
        self._told = False
        self.forced = False

    def tell(self, *_: object) -> None:
        if self._told:
            self.forced = True
            say("killed: what was under way is delivered again")
            for process in self._processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self._told = True
        if self._watching is not None:
            self._watching.cancel()

    async def until(self, watch: Coroutine[Any, Any, str | None]) -> str | None:
        """Await the watch; None when a signal ended it."""
        self._watching = asyncio.create_task(watch)
        if self._told:
            self._watching.cancel()
        try:
            return await self._watching
        except asyncio.CancelledError:
            if not self._told:
                self._watching.cancel()
                raise
            return None


async def _started(*arguments: str) -> Process:
    # In a session of its own: Ctrl-C reaches this process only, which then sends SIGTERM to the others once.
    return await asyncio.create_subprocess_exec(sys.executable, *PROGRAM, *arguments, start_new_session=True)


async def _watch(processes: Mapping[str, Process], relaying: Container | None) -> str | None:
    """Run the relay, if there is one, until a process ends; return its name. Raises what the relay raises."""
    waiting = {asyncio.create_task(process.wait()): name for name, process in processes.items()}
    relay = None if relaying is None else asyncio.create_task(relaying.outbox_relay().run())
    tasks = {*waiting, *(() if relay is None else (relay,))}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if relay is not None and relay.done():
            await relay
        return next((waiting[task] for task in done if task in waiting), None)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _end(processes: Mapping[str, Process]) -> None:
    for process in processes.values():
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
    for process in processes.values():
        await process.wait()
