"""The commands as processes, and a real server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT


def environment(**variables: str) -> dict[str, str]:
    """Ours without this machine's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::ResourceWarning", **variables}


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def json_of(*arguments: str, **variables: str) -> Any:
    """What a command prints with `--json`. It must succeed."""
    done = command(*arguments, "--json", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


GATEHOUSE = ("-m", "app", "serve")


class ServerProcess(NamedTuple):
    """A server that runs, where it listens, and where it writes."""

    address: str
    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def told(self, number: signal.Signals, *, within: float) -> float:
        """Send a signal and wait for the end; the seconds it took. It must come in time, with code 0 and no stack."""
        begun = time.perf_counter()
        self.process.send_signal(number)
        self.process.wait(60)
        took = time.perf_counter() - begun
        print(f"{number.name}: ended after {took:.2f} s")
        assert self.process.returncode == 0, self.err.read_text()
        assert took <= within
        assert self.out.read_text() == ""
        assert "Traceback" not in self.err.read_text()
        return took


@contextmanager
def server_process(folder: Path, *, program: Sequence[str] = GATEHOUSE, **variables: str) -> Iterator[ServerProcess]:
    """A server on a free port, killed at the end of the block if it is still there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    out, err = folder / "server.out", folder / "server.err"
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, *program, "--port", str(port)],
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        ) as process,
    ):
        try:
            yield ServerProcess(f"http://127.0.0.1:{port}", process, out, err)
        finally:
            process.kill()


@contextmanager
def serving(folder: Path, *, program: Sequence[str] = GATEHOUSE, **variables: str) -> Iterator[str]:
    """The address of a server that must end cleanly, with nothing on stdout and no stack on stderr."""
    with server_process(folder, program=program, **variables) as server:
        try:
            yield server.address
        finally:
            server.told(signal.SIGINT, within=60)
    assert "Error" not in server.err.read_text()


def until_listening(address: str) -> None:
    """Wait until the server takes connections. Raises TimeoutError after 30 s."""
    host, _, port = address.removeprefix("http://").partition(":")
    for _ in range(300):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)
