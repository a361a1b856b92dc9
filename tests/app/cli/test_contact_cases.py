"""What people type as phone numbers, addresses and passwords, as commands."""

import asyncio
from pathlib import Path

import pytest

from containers import Container, running
from settings import Settings
from tests.app.cli.conftest import Gatehouse
from tests.contact_cases import ALLOWED, PAIRS, PASSWORDS, PHONES, REFUSED_EMAILS, WORDS


def test_each_phone_number_is_stored_whole_or_refused_with_its_reason(gatehouse: Gatehouse, tmp_path: Path) -> None:
    for number, phone in enumerate(PHONES):
        region = () if phone.region is None else ("--region", phone.region)
        file = tmp_path / f"{number}.csv"
        file.write_text(f'email,phone\nx{number}@example.com,"{phone.typed}"\n', encoding="utf-8")
        imported = gatehouse("users", "import", str(file), *region, "--dry-run", "--json")
        done = gatehouse("users", "create", f"--phone={phone.typed}", *region, "--json")
        if phone.stored is None:
            assert imported.code == 3
            assert phone.words in imported.out
            done.assert_error(1, phone.words)
            assert "phone: " in done.err
        else:
            assert imported.json()["imported"] == 1
            assert done.json()["phone"] == phone.stored, phone.typed
            spaced = f"{phone.stored[:3]} {phone.stored[3:]}"
            assert gatehouse("users", "show", spaced, "--json").json() == done.json()


def test_each_pair_of_addresses_is_one_account_or_two(gatehouse: Gatehouse, tmp_path: Path) -> None:
    for number, (one, other, same) in enumerate(PAIRS):
        file = tmp_path / f"{number}.csv"
        file.write_text(f"email\n{one}\n{other}\n", encoding="utf-8")
        report = gatehouse("users", "import", str(file), "--dry-run", "--json").json()
        assert (report["imported"], report["skipped"]) == ((1, 1) if same else (2, 0)), one
        made = gatehouse("users", "create", "--email", one, "--json").json()
        second = gatehouse("users", "create", "--email", other, "--json")
        if same:
            second.assert_error(1, "another account has this email")
            assert gatehouse("users", "show", other, "--json").json() == made
            assert gatehouse("users", "list", "--email", other, "--json").json()["items"] == [made]
        else:
            assert second.json()["id"] != made["id"]
            assert gatehouse("users", "show", other, "--json").json() == second.json()


def test_each_refused_address_says_why_and_a_setting_takes_the_private_one(
    gatehouse: Gatehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\n" + "".join(f'"{address}"\n' for address in REFUSED_EMAILS), encoding="utf-8")
    for address in REFUSED_EMAILS:
        refused = gatehouse("users", "create", "--email", address)
        refused.assert_error(1, WORDS[address])
        assert ALLOWED.get(address, "") in refused.err
    report = gatehouse("users", "import", str(file), "--json")
    assert report.code == 3
    assert all(WORDS[address] in report.out for address in REFUSED_EMAILS)

    monkeypatch.setenv("GATEHOUSE_EMAIL__PRIVATE_DOMAINS", "local, localhost")
    for address in REFUSED_EMAILS:
        done = gatehouse("users", "create", "--email", address, "--json")
        assert done.code == (0 if address in ALLOWED else 1)
    assert gatehouse("users", "create", "--email", "root@localhost", "--json").code == 0
    monkeypatch.setenv("GATEHOUSE_EMAIL__PRIVATE_DOMAINS", "@local")
    gatehouse("users", "list").assert_error(1, "GATEHOUSE_EMAIL__PRIVATE_DOMAINS")


def test_each_spelling_of_a_password_is_one_password(
    gatehouse: Gatehouse, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.passwords:
        if value is not None:
            monkeypatch.setenv(f"GATEHOUSE_PASSWORDS__{name.upper()}", str(value))
    composed, decomposed = PASSWORDS
    made = gatehouse(
        "users", "create", "--email", "a@example.com", "--password", "--json", stdin=f"{decomposed}\n"
    ).json()

    async def log_in(password: str) -> None:
        async with running(Container(settings=settings)) as container:
            await container.auth_service().login("a@example.com", password)

    asyncio.run(log_in(composed))
    assert gatehouse("users", "set-password", made["id"], stdin=f"{composed}\n").code != 0  # it is the current one
    assert gatehouse("users", "set-password", made["id"], stdin=f"{composed} 2\n").code == 0
    asyncio.run(log_in(f"{decomposed} 2"))
