"""`gatehouse users set-password`: recovery, for whoever runs commands."""

import asyncio

import pytest

from containers import Container, running
from domain.errors import LoginRefused
from settings import Settings
from tests.app.cli.conftest import Gatehouse

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def login(settings: Settings, password: str) -> None:
    async def log_in() -> None:
        async with running(Container(settings=settings)) as container:
            await container.auth_service().login("root@example.com", password)

    asyncio.run(log_in())


def test_the_first_admin_is_made_and_recovered_by_commands(gatehouse: Gatehouse, settings: Settings) -> None:
    made = gatehouse(
        "users", "create", "--email", "root@example.com", "--role", "admin", "--password", "--json",
        stdin="the first password\n",
    ).json()  # fmt: skip
    assert made["role"] == "admin"
    login(settings, "the first password")
    token = gatehouse("tokens", "issue", "root@example.com").out

    done = gatehouse("users", "set-password", "root@example.com", stdin="canary canary\n")
    assert (done.code, done.out) == (0, "")
    assert made["id"] in done.err
    assert "canary" not in done.err
    login(settings, "canary canary")
    with pytest.raises(LoginRefused):
        login(settings, "the first password")
    gatehouse("tokens", "revoke", stdin=token).assert_error(1, "it was revoked before")


def test_what_is_no_password_or_nobodys_is_refused(gatehouse: Gatehouse) -> None:
    gatehouse("users", "create", "--email", "root@example.com")
    for password in ("short\n", "\n", "", "x" * 1025 + "\n"):
        gatehouse("users", "set-password", "root@example.com", stdin=password).assert_error(1, "password: is ")
    gatehouse("users", "set-password", "nobody@example.com", stdin="long enough\n").assert_error(1, "no account has")
    refused = gatehouse("users", "set-password", "root@example.com", "canary canary")
    assert refused.code == 2, "arguments are visible to others"
