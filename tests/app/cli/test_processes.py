"""Commands as processes: servers, signals, pipes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


@contextmanager
def process(*arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(url: str, server: "subprocess.Popen[str]") -> int:
    for _ in range(800):
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return int(response.status)
        except OSError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.05)
    pytest.fail("the server did not answer within 40 s")


def test_demo_run_check_exits_0_on_a_fresh_file(tmp_path: Path) -> None:
    with process("demo", "run", "--check") as command:
        out, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    assert out.splitlines() == ["200 /health/live", "200 /health/ready", "200 /v1/users?limit=1"]
    assert "Traceback" not in err
    assert "gh_" not in err
    assert (tmp_path / "var" / "gatehouse.db").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_and_ends_cleanly_when_told_to_stop(database_url: str, number: signal.Signals) -> None:
    port = free_port()
    with process("serve", "--port", str(port), DATABASE_URL=database_url) as server:
        assert wait_for(f"http://127.0.0.1:{port}/health/ready", server) == 200
        server.send_signal(number)
        out, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert out == ""
    assert "Traceback" not in err
    assert "GET /health/ready 200" in err


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_several_processes_share_a_port_and_one_that_dies_is_replaced(database_url: str) -> None:
    port = free_port()
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_NODE_ID": "7"}
    with process("serve", "--port", str(port), "--workers", "2", **variables) as server:
        assert wait_for(f"http://127.0.0.1:{port}/health/ready", server) == 200
        for _ in range(400):
            children = children_of(server.pid)
            nodes = {
                Path(f"/proc/{child}/environ").read_bytes().split(b"GATEHOUSE_NODE_ID=")[1][:1] for child in children
            }
            if len(nodes) == 2:
                break
            time.sleep(0.05)
        assert nodes == {b"7", b"8"}, "no two processes make the same ids"
        os.kill(children[0], signal.SIGKILL)
        for _ in range(400):
            if len(now := children_of(server.pid)) == 2 and children[0] not in now:
                break
            time.sleep(0.05)
        for _ in range(20):  # none of them is lost with the process
            assert wait_for(f"http://127.0.0.1:{port}/health/live", server) == 200
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=60)
    assert (server.returncode, out) == (0, "")
    assert "another one takes its place" in err
    assert "Traceback" not in err
    assert [child for child in {*children, *now} if Path(f"/proc/{child}").exists()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system tells nobody")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_processes_end_with_the_one_that_watches_over_them(database_url: str) -> None:
    port = free_port()
    with process("serve", "--port", str(port), "--workers", "2", DATABASE_URL=database_url) as server:
        assert wait_for(f"http://127.0.0.1:{port}/health/ready", server) == 200
        children = children_of(server.pid)
        assert children
        server.kill()
        server.wait(timeout=10)
        for _ in range(400):
            if not (left := [child for child in children if Path(f"/proc/{child}").exists()]):
                break
            time.sleep(0.05)
        assert left == []


def test_processes_that_cannot_start_end_with_1() -> None:
    with process("serve", "--port", "0", "--workers", "2", DATABASE_URL="oracle://x:canary@h/d") as server:
        out, err = server.communicate(timeout=60)
    assert (server.returncode, out) == (1, "")
    assert "pip install 'unitwork[oracle]'" in err
    assert "canary" not in err
    assert "Traceback" not in err


def children_of(parent: int) -> list[int]:
    """The processes that this one started."""
    return list(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


@pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["one", "several"])
def test_serve_on_a_taken_port_fails_with_1(options: list[str]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        process("serve", "--port", str(listener.getsockname()[1]), *options) as server,
    ):
        out, err = server.communicate(timeout=60)
    assert server.returncode == 1, "3 would say: some rows were rejected"
    assert out == ""
    assert "address already in use" in err
    assert "Traceback" not in err


SIGNALS = pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, ""), (signal.SIGTERM, 143, "error: terminated\n")],
    ids=["SIGINT", "SIGTERM"],
)


@SIGNALS
def test_an_import_that_is_told_to_stop_keeps_whole_batches_and_says_so(
    database_url: str, tmp_path: Path, number: signal.Signals, code: int, words: str
) -> None:
    """The file is a pipe that holds less than half of it: once all is written, the import is in the middle."""
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    with process("users", "import", str(pipe), "--json", DATABASE_URL=database_url) as command, pipe.open("w") as file:
        file.write("email\n" + "".join(f"user{number}@example.com\n" for number in range(7000)))
        file.flush()
        command.send_signal(number)
        out, err = command.communicate(timeout=60)
    assert command.returncode == code, err
    assert out == ""
    told = re.fullmatch(r"stopped: (\d+) rows are settled; go on with --start-line (\d+)\n" + re.escape(words), err)
    assert told, err
    with process("users", "export", "--plain", DATABASE_URL=database_url) as export:
        stored = len(export.communicate(timeout=60)[0].splitlines()) - 1
    assert stored % 500 == 0, "whole batches"
    assert int(told[1]) == int(told[2]) - 2 <= stored
    assert 500 <= stored < 7000


@SIGNALS
def test_an_import_that_waits_for_its_file_stops_at_once(
    database_url: str, tmp_path: Path, number: signal.Signals, code: int, words: str
) -> None:
    pipe = tmp_path / "people.csv"
    os.mkfifo(pipe)
    with process("users", "import", str(pipe), DATABASE_URL=database_url) as command, pipe.open("w") as file:
        file.write("email\nada@example.com\n")
        file.flush()
        time.sleep(3)
        command.send_signal(number)
        _, err = command.communicate(timeout=20)
    assert command.returncode == code, err
    assert err == words


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email\n" + "".join(f"user{number}@example.com\n" for number in range(2500)))
    for arguments in (["db", "upgrade"], ["users", "import", str(people)]):
        with process(*arguments) as command:
            command.communicate(timeout=60)
            assert command.returncode == 0
    with process("users", "export") as export:
        assert export.stdout is not None
        export.stdout.readline()
        export.stdout.close()
        assert export.stderr is not None
        err = export.stderr.read()
        export.wait(60)
    assert (export.returncode, err) == (0, "")
