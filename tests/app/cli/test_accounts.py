"""The administrative half of proofs, logins and keys on the command line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from containers import Container, running
from domain import TokenPair
from domain.key import Scope
from services.messaging.inbox_service import Handled
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from unitwork.models import SYSTEM, acting_as

PASSWORD = "correct horse battery"


async def delivered(settings: Settings) -> list[dict[str, Any]]:
    """Do the worker's part; return the mails so far, in the order they were asked for."""
    async with running(Container(settings=settings)) as container:
        with acting_as(SYSTEM):
            for message in (await container.outbox_service().list()).items:
                assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    files = sorted(settings.notifications.glob("*.json"), key=lambda path: int(path.stem))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


async def logged_in(settings: Settings) -> list[TokenPair]:
    """Two logins of Ada's."""
    async with running(Container(settings=settings)) as container:
        return [await container.auth_service().login("ada@example.com", PASSWORD) for _ in range(2)]


def test_an_admin_invites_by_a_command_and_again_and_revokes(gatehouse: Gatehouse, settings: Settings) -> None:
    made = gatehouse("users", "invite", "grace@example.com", "--role", "admin", "--locale", "de", "--json").json()
    shown = gatehouse("users", "show", "grace@example.com", "--json").json()
    assert (shown["id"], shown["role"], shown["locale"]) == (made["invited"], "admin", "de")
    assert gatehouse("users", "invite", "grace@example.com").code == 0
    assert gatehouse("users", "invite", "grace@example.com", "--revoke", "--json").json() == {"revoked": 1}
    assert asyncio.run(delivered(settings)) == []
    gatehouse("users", "invite", "grace@example.com")
    (mail,) = asyncio.run(delivered(settings))
    assert (mail["kind"], mail["address"], mail["subject"]) == ("invite", "grace@example.com", "Sie sind eingeladen")
    gatehouse("users", "set-password", "grace@example.com", stdin=f"{PASSWORD}\n")
    gatehouse("users", "invite", "grace@example.com").assert_error(1, "this account has a password")
    gatehouse("users", "invite", "no address").assert_error(1, "is not an e-mail address")


def test_an_admin_verifies_an_address_and_has_a_link_for_recovery_mailed(
    gatehouse: Gatehouse, settings: Settings
) -> None:
    made = gatehouse("users", "create", "--email", "ada@example.com", "--password", "--json", stdin=f"{PASSWORD}\n")
    assert made.json()["email_verified_at"] is None
    assert gatehouse("users", "verify", "ada@example.com", "--json").json() == {"verified": made.json()["id"]}
    assert gatehouse("users", "show", "ada@example.com", "--json").json()["email_verified_at"] is not None
    assert "verified at" in gatehouse("users", "verify", "ada@example.com").err
    assert gatehouse("users", "recover", "ada@example.com", "--json").json() == {"mailed": made.json()["id"]}
    (mail,) = asyncio.run(delivered(settings))
    assert (mail["kind"], mail["address"]) == ("recover", "ada@example.com")
    gatehouse("users", "create", "--phone", "+14155550132")
    gatehouse("users", "recover", "+14155550132").assert_error(1, "no e-mail address or no password")
    without = gatehouse("users", "verify", "+14155550132")
    without.assert_error(1, "has no e-mail address")


def test_an_admin_sees_and_ends_logins(gatehouse: Gatehouse, settings: Settings) -> None:
    gatehouse("users", "create", "--email", "ada@example.com", "--password", stdin=f"{PASSWORD}\n")
    pairs = asyncio.run(logged_in(settings))
    items = gatehouse("tokens", "list", "ada@example.com", "--json").json()["items"]
    assert len(items) == 2
    assert all(item["created_at"].endswith("Z") for item in items)
    done = gatehouse("tokens", "end", "ada@example.com", "--login", items[0]["id"], "--json")
    assert done.json() == {"ended": items[0]["id"]}
    gatehouse("tokens", "end", "ada@example.com", "--login", items[0]["id"]).assert_error(1, "no such login")
    assert gatehouse("tokens", "list", "ada@example.com").out.splitlines()[0].startswith("id\tcreated_at\tlast_used_at")
    assert "every login" in gatehouse("tokens", "end", "ada@example.com").err
    assert gatehouse("tokens", "list", "ada@example.com", "--json").json() == {"items": []}
    gatehouse("tokens", "list", "nobody@example.com").assert_error(1, "no account has this")
    assert all(pair.access not in str(items) for pair in pairs)


def test_an_admin_prints_what_is_kept_about_a_person(gatehouse: Gatehouse, settings: Settings) -> None:
    gatehouse("users", "create", "--email", "ada@example.com", "--password", stdin=f"{PASSWORD}\n")
    gatehouse("users", "recover", "ada@example.com")
    gatehouse("users", "verify", "ada@example.com")
    (pair, _) = asyncio.run(logged_in(settings))
    data = gatehouse("users", "data", "ada@example.com").json()
    assert data["account"] == gatehouse("users", "show", "ada@example.com", "--json").json()
    assert [item["kind"] for item in data["tokens"]] == ["access", "refresh"] * 2
    assert [(item["kind"], item["address"]) for item in data["mails"]] == [("recover", "ada@example.com")]
    assert {"created", "changed", "event"} <= {item["action"] for item in data["trail"]}
    for hidden in (pair.access, PASSWORD, "digest", "argon2", "salt"):
        assert hidden not in str(data)


def test_an_admin_makes_lists_and_revokes_keys(gatehouse: Gatehouse) -> None:
    gatehouse("users", "create", "--email", "svc@example.com")
    make = ("keys", "create", "svc@example.com", "--name", "billing", "--scope", "introspect", "--scope", "users:read")
    made = gatehouse(*make, "--days", "30", "--json").json()
    assert made["secret"].startswith("gh_sk_")
    assert (made["scopes"], made["service"], made["last_used_at"]) == ("users:read introspect", True, None)
    forever = gatehouse(*make)
    assert forever.out.startswith("gh_sk_")
    assert "until it is revoked" in forever.err
    first, second = gatehouse("keys", "list", "svc@example.com", "--json").json()["items"]
    assert first == {name: value for name, value in made.items() if name != "secret"}
    assert second["expires_at"] is None
    assert gatehouse("keys", "revoke", "svc@example.com", made["id"], "--json").json() == {"revoked": made["id"]}
    gatehouse("keys", "revoke", "svc@example.com", made["id"]).assert_error(1, "key")
    assert gatehouse("tokens", "revoke", stdin=f"{forever.out}").code == 0, "who has it needs no id"
    assert gatehouse("keys", "list", "svc@example.com", "--json").json() == {"items": []}
    gatehouse("keys", "create", "svc@example.com", "--name", "x", "--scope", "all").assert_error(2, "--scope")
    assert gatehouse("keys", "create", "svc@example.com", "--name", " ", "--scope", Scope.INTROSPECT).code == 1


@pytest.mark.parametrize("command", ["invite", "verify", "recover"])
def test_each_command_says_what_it_does(gatehouse: Gatehouse, command: str, tmp_path: Path) -> None:
    assert "--json" in gatehouse("users", command, "--help").out
