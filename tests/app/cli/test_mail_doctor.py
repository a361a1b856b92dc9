"""The doctor looks at mails: their templates, their server, and where their links lead."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.app.cli.conftest import Gatehouse
from tests.app.cli.test_doctor import findings

GREETING = (b"220 here\r\n", b"250 here\r\n", b"221 bye\r\n")


def looked_at(gatehouse: Gatehouse) -> dict[str, Any]:
    return findings(gatehouse("doctor", "--json"))["mail"]


def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_ENVIRONMENT", "production")
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "canary" * 9)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_files_are_fine_in_development_and_a_warning_in_production(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert looked_at(gatehouse)["verdict"] == "ok"
    production(monkeypatch)
    found = looked_at(gatehouse)
    assert (found["verdict"], found["fix"]) == ("warning", "set GATEHOUSE_MAIL__HOST")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_template_that_can_t_be_used_is_named(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "texts" / "fr").mkdir(parents=True)
    (tmp_path / "texts" / "fr" / "invite.txt").write_text("Subject: Bonjour\n\n$lien\n")
    monkeypatch.setenv("GATEHOUSE_MAIL__TEMPLATES", str(tmp_path / "texts"))
    found = looked_at(gatehouse)
    assert found["verdict"] == "fault"
    assert found["detail"].startswith("the mail template fr/invite.txt has $lien, which is no placeholder")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_server_is_asked_and_links_in_production_are_encrypted(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_MAIL__HOST", "127.0.0.1")
    monkeypatch.setenv("GATEHOUSE_MAIL__SECURITY", "none")
    monkeypatch.setenv("GATEHOUSE_MAIL__PORT", "1")
    away = looked_at(gatehouse)
    assert away["verdict"] == "fault"
    assert "the mail server 127.0.0.1:1" in away["detail"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        monkeypatch.setenv("GATEHOUSE_MAIL__PORT", str(listener.getsockname()[1]))
        assert looked_at(gatehouse)["verdict"] == "ok"
        production(monkeypatch)
        found = looked_at(gatehouse)
    assert (found["verdict"], found["fix"]) == (
        "warning", "set GATEHOUSE_MAIL__PAGES to the https:// address of your pages",
    )  # fmt: skip


def _greet(listener: socket.socket) -> None:
    """Answer two clients as a mail server does that is only greeted."""
    for _ in range(2):
        client, _address = listener.accept()
        with client, client.makefile("rb") as lines:
            client.sendall(GREETING[0])
            while line := lines.readline():
                client.sendall(GREETING[2] if line.startswith(b"QUIT") else GREETING[1])
