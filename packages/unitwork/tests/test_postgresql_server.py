"""The server that the kit starts is handed out once it takes sessions."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from unitwork.testing.servers.postgresql_server import wait_until_ready

LOCK = "{pid}\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\n{state}\n"


@pytest.fixture
def server() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(("crashed", "found"), [(False, "starting"), (True, "ready   ")])
def test_a_server_that_is_still_starting_is_waited_for(
    tmp_path: Path, server: "subprocess.Popen[bytes]", crashed: bool, found: str
) -> None:
    lock = tmp_path / "postmaster.pid"
    lock.write_text(LOCK.format(pid=1 if crashed else server.pid, state=found), encoding="utf-8")
    ready = LOCK.format(pid=server.pid, state="ready   ")
    timer = threading.Timer(0.3, lock.write_text, [ready], {"encoding": "utf-8"})
    began = time.monotonic()
    timer.start()
    wait_until_ready(tmp_path, server)
    assert time.monotonic() - began >= 0.3


def test_a_server_that_stops_is_told_with_its_exit_code(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as process:
        process.wait()
        with pytest.raises(RuntimeError, match="exit code 3"):
            wait_until_ready(tmp_path, process)
