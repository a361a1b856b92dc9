"""`gatehouse users check`, and what `gatehouse doctor` tells of the same."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text

from app.cli import contact_check
from containers import Container, running
from domain import User
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from unitwork.models import SYSTEM, acting_as


@pytest.fixture
def older(settings: Settings, database_mode: str) -> list[User]:
    """Accounts as older releases stored them, the last one by today's rules."""

    async def store() -> list[User]:
        accounts = [
            User(phone="+15550132"),
            User(phone="+49112"),
            User(phone="491512345678"),
            User(email="ann@corp.local", email_key="ann@corp.local"),
            User(email="i@münchen.example", email_key="i@münchen.example"),
            User(email="i@xn--kln-sna.example", email_key="i@xn--kln-sna.example"),
            User(email="i@köln.example", email_key="i@köln.example"),
            User(email="ben@example.com", email_key="ben@example.com", phone="+14155550132"),
        ]
        async with running(Container(settings=settings)) as container:
            with acting_as(SYSTEM):
                await container.user_dao().add_many(accounts)
                await container.user_dao().soft_delete(accounts[1].id)
        return accounts

    return asyncio.run(store())


def doctors(gatehouse: Gatehouse) -> Any:
    found = gatehouse("doctor", "--json").json()["findings"]
    return next(finding for finding in found if finding["subject"] == "contacts")


def test_each_contact_that_was_stored_wrongly_is_listed_with_its_reason_and_fix(
    gatehouse: Gatehouse, older: list[User]
) -> None:
    done = gatehouse("users", "check", "--json")
    assert done.code == 4
    listed = json.loads(done.out)
    assert listed["checked"] == len(older)
    expected = [
        (0, "phone", "area code"),
        (1, "phone", "emergency number"),
        (2, "phone", "country code"),
        (3, "email", ".local, which is not a public domain"),
        (4, "email_key", "stored under an older rule"),
        (6, "email_key", f"account {older[5].id} has an address that is the same"),
    ]
    for finding, (index, field, words) in zip(listed["findings"], expected, strict=True):
        assert (finding["id"], finding["field"]) == (str(older[index].id), field)
        assert words in finding["reason"]
        assert finding["fix"]
    table = gatehouse("users", "check")
    assert table.out.splitlines()[0].split("\t") == ["id", "field", "reason", "fix"]
    assert len(table.out.splitlines()) == len(expected) + 1
    for told in (done.out, table.out, table.err):
        assert "@" not in told, "no address is told"
        assert "491512345678" not in told


def test_keys_are_mended_where_no_other_account_has_them(
    gatehouse: Gatehouse, older: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    gatehouse("users", "show", "i@xn--mnchen-3ya.example").assert_error(1, "no account has this e-mail address")
    monkeypatch.setenv("GATEHOUSE_EMAIL__PRIVATE_DOMAINS", "local")
    done = gatehouse("users", "check", "--mend-keys")
    assert done.code == 4
    assert "8 accounts checked, 4 findings" in done.err
    shown = gatehouse("users", "show", "i@xn--mnchen-3ya.example", "--json").json()
    assert shown["id"] == str(older[4].id)
    for index in (0, 1, 2, 5):
        gatehouse("users", "purge", str(older[index].id), "--yes")
    assert gatehouse("users", "check", "--mend-keys", "--json").json() == {"checked": 4, "findings": []}
    assert gatehouse("users", "check").code == 0


def test_the_doctor_counts_them_and_says_what_lists_them(gatehouse: Gatehouse, older: list[User]) -> None:
    finding = doctors(gatehouse)
    assert finding["verdict"] == "warning"
    assert "all 8 accounts: 1 × email, 2 × email_key, 3 × phone" in finding["detail"]
    assert "gatehouse users check" in finding["fix"]
    assert "@" not in str(finding)


def test_the_doctor_looks_at_so_many_as_it_has_time_for(
    gatehouse: Gatehouse, older: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.contact_check.PAGE", 2)
    monkeypatch.setattr(contact_check, "GLANCE_SECONDS", 0.0)
    assert "the first 2 accounts: 2 × phone" in doctors(gatehouse)["detail"]


def test_a_new_database_has_nothing_to_check(gatehouse: Gatehouse) -> None:
    assert doctors(gatehouse)["verdict"] == "ok"
    assert "no accounts yet" in doctors(gatehouse)["detail"]
    assert gatehouse("users", "check", "--json").json() == {"checked": 0, "findings": []}


def test_names_that_another_version_stored_are_told_and_mended(gatehouse: Gatehouse, settings: Settings) -> None:
    """As processes write that know no `name_key`, in a rolling upgrade: one account is new, the other renamed."""
    made = [
        gatehouse("users", "create", "--email", f"{name}@example.com", "--display-name", "Before", "--json").json()
        for name in ("new", "renamed")
    ]
    before = gatehouse("users", "list", "--sort", "id", "--json").json()["items"]

    async def write() -> None:
        async with running(Container(settings=settings)) as container, container.engine().begin() as connection:
            for user, key in ((made[0], "NULL"), (made[1], "name_key")):
                statement = f"UPDATE users SET display_name = 'Özil', name_key = {key} WHERE id = {user['id']}"
                await connection.execute(text(statement))

    asyncio.run(write())
    assert gatehouse("users", "list", "--name", "ozil", "--json").json()["items"] == []
    assert "2 × name_key" in doctors(gatehouse)["detail"]
    done = gatehouse("users", "check", "--json")
    assert done.code == 4
    listed = json.loads(done.out)["findings"]
    assert [(finding["id"], finding["field"]) for finding in listed] == [(user["id"], "name_key") for user in made]
    assert all("Özil" not in str(finding) and "--mend-keys" in finding["fix"] for finding in listed)
    assert gatehouse("users", "check", "--mend-keys", "--json").json() == {"checked": 2, "findings": []}
    found = gatehouse("users", "list", "--name", "ozil", "--sort", "id", "--json").json()["items"]
    assert found == [{**user, "display_name": "Özil"} for user in before], "versions and stamps are as they were"
    assert gatehouse("users", "check").code == 0


def test_an_upgrade_tells_which_keys_it_left(gatehouse: Gatehouse, older: list[User]) -> None:
    assert gatehouse("db", "downgrade", "0005").code == 0
    done = gatehouse("db", "upgrade")
    assert done.code == 0
    assert f"the e-mail key of account {older[6].id} is left as it was: account {older[5].id} has" in done.err
    assert "@" not in done.err
