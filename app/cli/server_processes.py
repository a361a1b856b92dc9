"""ServerProcesses: several server processes on one port, each with a container of its own, and their supervision."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import Final

from app.cli.output import say
from app.cli.until_told import until_told
from settings import Settings

PAUSE: Final = 1.0
"""Seconds before a process that was killed, for example for lack of memory, is replaced."""
REAPED_AFTER: Final = 5.0
"""Seconds after the drain timeout before a process is killed."""


def listeners(host: str, port: int, count: int) -> list[socket.socket]:
    """Bind `count` sockets to one address; the kernel distributes connections among them. Raises OSError for an address
    in use. The parent keeps them open, so that connections queued for a process that died are not lost.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as probe:  # SO_REUSEPORT below hides a port in use
        port = probe.getsockname()[1]
    found = []
    for _ in range(count):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        found.append(listener)
    return found


class ServerProcesses:
    """One `gatehouse serve` process per socket. A process that was killed is restarted."""

    def __init__(self, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        self._settings = settings
        self._sockets = sockets
        self._running: dict[int, Process] = {}

    async def until_told(self) -> bool:
        """Serve until SIGINT or SIGTERM; return False when a process could not start."""
        try:
            return await until_told(self._watch_all())
        finally:
            await self._end()

    async def _watch_all(self) -> None:
        watches = [asyncio.create_task(self._watch(number)) for number in range(len(self._sockets))]
        try:
            await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.wait(watches)

    async def _watch(self, number: int) -> None:
        """Run the process, and restart it when a signal ended it. Return when it exits by itself: it could not start
        and has reported the reason, which a restart would meet again.
        """
        while True:
            self._running[number] = process = await self._start(number)
            if (code := await process.wait()) >= 0:
                return
            say(f"a server process was ended by signal {-code}; another one takes its place")
            await asyncio.sleep(PAUSE)

    async def _start(self, number: int) -> Process:
        descriptor = self._sockets[number].fileno()
        node_id = self._settings.node_id
        own = {} if node_id is None else {"GATEHOUSE_NODE_ID": str(node_id + number)}
        # In a session of its own: Ctrl-C reaches this process only, which then sends SIGTERM to each once.
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve", "--listener", str(descriptor), "--watcher", str(os.getpid())),
            env={**os.environ, **own},
            pass_fds=[descriptor],
            start_new_session=True,
        )

    async def _end(self) -> None:
        processes = [process for process in self._running.values() if process.returncode is None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        if processes:
            ends = [asyncio.create_task(process.wait()) for process in processes]
            await asyncio.wait(ends, timeout=self._settings.database.drain_timeout + REAPED_AFTER)
            for process in processes:
                if process.returncode is None:
                    process.kill()
            await asyncio.wait(ends)
