"""The command line in daily use: narrow terminals, prompts, ports, versions."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli.output import print_table
from tests.app.cli.conftest import Gatehouse

RECORDS = [
    {"id": "77012345678901234", "email": "somebody.with.a.long.address@example.com", "phone": None, "role": "user"},
    {"id": "77012345678901235", "email": "x@example.com", "phone": None, "role": "admin"},
]
COLUMNS = ("id", "email", "phone", "role")


@pytest.mark.parametrize("width", [20, 40, 60, 72, 80, 200])
def test_ids_and_addresses_are_never_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(COLUMNS, RECORDS)
    out = capsys.readouterr().out
    for record in RECORDS:
        assert str(record["id"]) in out
        assert str(record["email"]) in out
    assert "\x1b" not in out
    assert "…" not in out
    assert ("phone" in out) is (width >= 80), "an empty column goes first"
    assert ("\n\n" in out) is (width <= 60), "then each record is a paragraph"


def test_the_version_is_told(gatehouse: Gatehouse) -> None:
    done = gatehouse("--version")
    assert done.code == 0
    assert done.out.startswith("gatehouse 0.")


def test_a_taken_port_names_what_chooses_another(gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for arguments in (("serve", "--port", port), ("serve", "--port", port, "--workers", "2")):
            gatehouse(*arguments).assert_error(1, f"port {port} of 127.0.0.1: address already in use. Choose")
        monkeypatch.setenv("PORT", port)
        done = gatehouse("demo", "run")
    assert (done.code, "PORT=" in done.err) == (1, True)


@pytest.mark.parametrize("command", ["run", "seed"])
def test_the_demonstration_is_refused_in_production(
    gatehouse: Gatehouse, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_ENVIRONMENT", "production")
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "k" * 40)
    gatehouse("demo", command).assert_error(1, "this is production")
    monkeypatch.setenv("GATEHOUSE_ENVIRONMENT", "development")
    assert gatehouse("users", "list", "--json").json()["items"] == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_at_a_question_ends_it(
    gatehouse: Gatehouse, database_url: str, tmp_path: Path, number: signal.Signals, code: int, backend: str
) -> None:
    assert gatehouse("users", "create", "--email", "ada@example.com").code == 0
    terminal, side = pty.openpty()
    environment = {**os.environ, "DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    command = subprocess.Popen(
        [sys.executable, "-m", "app", "users", "set-password", "ada@example.com"],
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment,
        start_new_session=True,
    )
    try:
        seen = b""
        until = time.monotonic() + 30
        while b"Password" not in seen and time.monotonic() < until:
            if select.select([terminal], [], [], 0.5)[0]:
                seen += os.read(terminal, 4096)
        assert b"Password" in seen
        command.send_signal(number)
        assert command.wait(10) == code
    finally:
        command.kill()
        command.wait()
        os.close(terminal)
        os.close(side)
