"""Server: one peer in a process of its own, and what the system accounts to it."""

import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).parents[2]
TICKS: Final = os.sysconf("SC_CLK_TCK")
STARTS_WITHIN: Final = 30.0


class Server:
    """`module:app` under uvicorn on a free port, as long as the block. `processes` share the port."""

    def __init__(self, python: Path, module: str, database_url: str, *, pool_size: int, processes: int = 1) -> None:
        self.port = _free_port()
        command = [python, "-m", "uvicorn", f"{module}:app", "--port", str(self.port), "--no-access-log"]
        self._command = [*map(str, command), "--log-level", "warning", "--workers", str(processes)]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")},
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database_url,
            "POOL_SIZE": str(pool_size),
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, env=self._environment, cwd=ROOT)  # noqa: S603 - our own peers
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        self._process.kill()
        msg = f"{self._command[3]} did not start within {STARTS_WITHIN:g} s"
        raise RuntimeError(msg)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes."""
        return sum(_cpu_seconds(pid) for pid in self._processes())

    def peak_memory(self) -> int:
        """Bytes, of all its processes."""
        return sum(_peak_memory(pid) for pid in self._processes())

    def _processes(self) -> list[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        return [self._process.pid, *map(int, children.split())]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
