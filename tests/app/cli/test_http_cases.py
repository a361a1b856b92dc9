"""The lines of `tests/data/http.json` that have a command too: it answers alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.app.cli.conftest import Gatehouse

Line = Callable[[Gatehouse, Path], None]


def emails(gatehouse: Gatehouse, *options: str) -> list[str]:
    return [user["email"] for user in gatehouse("users", "list", *options, "--json").json()["items"]]


def plus(gatehouse: Gatehouse, folder: Path) -> None:
    gatehouse("users", "create", "--email", "plus+x@example.com")
    assert emails(gatehouse, "--email", "plus+x@example.com") == ["plus+x@example.com"]
    assert emails(gatehouse, "--email", "plus x@example.com") == []


def log_out(gatehouse: Gatehouse, folder: Path) -> None:
    gatehouse("users", "create", "--email", "ann@example.com")
    token = gatehouse("tokens", "issue", "ann@example.com", "--json").json()["access_token"]
    assert gatehouse("tokens", "revoke", stdin=f"{token}\n").code == 0
    gatehouse("tokens", "revoke", stdin=f"{token}\n").assert_error(1, "was revoked before")


def export(gatehouse: Gatehouse, folder: Path) -> None:
    gatehouse("users", "create", "--email", "ann@example.com")
    done = gatehouse("users", "export")
    assert (done.code, done.out.count("ann@example.com")) == (0, 1)


def region(gatehouse: Gatehouse, folder: Path) -> None:
    file = folder / "people.csv"
    file.write_text("email,phone\nann@example.com,(415) 555-0139\n")
    assert gatehouse("users", "import", str(file)).code == 3
    assert gatehouse("users", "import", str(file), "--region", "US", "--json").json()["imported"] == 1
    assert emails(gatehouse, "--phone", "+14155550139") == ["ann@example.com"]


def name(gatehouse: Gatehouse, folder: Path) -> None:
    gatehouse("users", "create", "--email", "annie@example.com", "--display-name", "Annie Easley")
    for typed in ("easley", "EASLEY", "annie easley"):
        assert emails(gatehouse, "--name", typed) == ["annie@example.com"]


LINES: Final[dict[str, Line]] = {
    "GET /v1/users?email=plus+x@example.com, unencoded": plus,
    "POST /v1/auth/logout with a live access token": log_out,
    "GET /v1/users/export with Accept: text/csv;q=0, and with TEXT/CSV": export,
    "POST /v1/users/import as multipart with a field region=US beside the file": region,
    "GET /v1/users?name=easley while there is Annie Easley": name,
}


@pytest.mark.parametrize("request_", LINES)
def test_each_line_that_has_a_command_is_answered_alike(gatehouse: Gatehouse, tmp_path: Path, request_: str) -> None:
    LINES[request_](gatehouse, tmp_path)
