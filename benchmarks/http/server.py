"""Server: one peer in processes of its own, and what the system accounts to them."""

import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.cli.server_processes import listeners

ROOT: Final = Path(__file__).parents[2]
TICKS: Final = os.sysconf("SC_CLK_TCK")
STARTS_WITHIN: Final = 30.0
PROGRAM: Final = """
import socket, sys, uvicorn
config = uvicorn.Config(sys.argv[1], access_log=False, log_level="warning")
uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[2]))])
"""
"""Not uvicorn's own `--fd`, which takes every socket for one of the file system and leaves out TCP_NODELAY."""


class Server:
    """`module:app` under uvicorn on a free port, as long as the block. Of several processes each has a socket of its
    own, between which the kernel deals connections out, as `gatehouse serve --workers` has it.
    """

    def __init__(self, python: Path, module: str, database_url: str, *, pool_size: int, processes: int = 1) -> None:
        self._command = [str(python), "-c", PROGRAM, f"{module}:app"]
        self._count = processes
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")},
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "POOL_SIZE": str(pool_size),
        }

    def __enter__(self) -> Self:
        self._sockets = listeners("127.0.0.1", 0, self._count)
        self.port: int = self._sockets[0].getsockname()[1]
        self._running = [self._started(one.fileno()) for one in self._sockets]
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and all(process.poll() is None for process in self._running):
            if all(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in self._sockets):
                return self
            time.sleep(0.05)
        self.__exit__(None, None, None)
        msg = f"{self._command[3]} did not start within {STARTS_WITHIN:g} s"
        raise RuntimeError(msg)

    def _started(self, descriptor: int) -> "subprocess.Popen[bytes]":
        command = [*self._command, str(descriptor)]
        return subprocess.Popen(command, env=self._environment, cwd=ROOT, pass_fds=[descriptor])  # noqa: S603 - a peer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one in self._sockets:
            one.close()

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes."""
        return sum(_cpu_seconds(pid) for pid in self._pids())

    def peak_memory(self) -> int:
        """Bytes, of all its processes."""
        return sum(_peak_memory(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        return [process.pid for process in self._running]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
