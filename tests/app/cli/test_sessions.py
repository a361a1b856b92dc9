"""`gatehouse sessions top` against a real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.sessions import _drawn
from tests.app.cli.conftest import Gatehouse
from tests.flows.server import command, environment, json_of, server_process, until_listening
from unitwork.monitor.feed import picture
from unitwork.monitor.monitor import SqlMonitor

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def test_top_shows_a_servers_sessions_to_an_admin(database_url: str, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    command("users", "create", "--email", "admin@example.com", "--role", "admin", **variables)
    token = json_of("tokens", "issue", "admin@example.com", **variables)["access_token"]
    with server_process(tmp_path, **variables) as server:
        until_listening(server.address)
        for extra, given, code in (("--json", token, 0), ("--once", token, 0), ("--once", "gh_nonsense", 1)):
            done = subprocess.run(
                [sys.executable, "-m", "app", "sessions", "top", "--url", server.address, extra],
                env=environment(**variables),
                input=f"{given}\n",
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == code, done.stderr
            assert token not in done.stdout + done.stderr
            if extra == "--json":
                assert json.loads(done.stdout)["pool"]["capacity"] > 0
            elif code == 0:
                assert "Open units" in done.stdout
            else:
                assert done.stderr.startswith("error: ")
                assert "the token doesn't count" in done.stderr


def test_a_server_that_is_not_there_is_one_line(gatehouse: Gatehouse) -> None:
    done = gatehouse("sessions", "top", "--url", "http://127.0.0.1:9", stdin="token\n")
    done.assert_error(1, "say where it is with --url")


def test_a_picture_of_nothing_can_be_drawn(backend: str) -> None:
    assert _drawn(picture(SqlMonitor(), history=True))
