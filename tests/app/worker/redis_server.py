"""A Redis of a test's own, which may be killed."""

import socket
import subprocess
from pathlib import Path
from shutil import which


class RedisServer:
    """On a free port. It keeps nothing when it is killed."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [which("redis-server") or "redis-server", *arguments, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
