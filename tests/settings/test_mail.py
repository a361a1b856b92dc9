"""The section of mails: files unless a server is named, and what would leak or lead nowhere is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from settings import Settings, SettingsError


def refused(**mail: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as raised:
        Settings(mail=mail)
    assert "secret" not in str(raised.value)
    return {problem.variable: problem.reason for problem in raised.value.problems}


def test_mails_are_files_unless_a_server_is_named() -> None:
    mail = Settings().mail
    assert (mail.host, mail.port, mail.security, mail.timeout) == (None, 587, "starttls", 10.0)
    assert (mail.verify_lifetime, mail.recover_lifetime, mail.invite_lifetime) == (
        timedelta(hours=24), timedelta(minutes=30), timedelta(days=7),
    )  # fmt: skip
    assert (Settings().accounts.registration_tells, Settings().tokens.unverified_login) == (True, True)


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("a@example.com", "", "a@example.com"),
        ("<a@example.com>", "", "a@example.com"),
        (" Gate House <a@example.com> ", "Gate House", "a@example.com"),
        ('"Gate, Ltd." <a@example.com>', "Gate, Ltd.", "a@example.com"),
        ("Jörg, Ltd. <a@example.com>", "Jörg, Ltd.", "a@example.com"),
    ],
)
def test_a_sender_has_an_address_and_perhaps_a_name(sender: str, name: str, address: str) -> None:
    mail = Settings(mail={"sender": sender}).mail
    assert (mail.sender_name, mail.sender_address) == (name, address)


@pytest.mark.parametrize(
    "sender",
    ["", "x", "a@", "Gate a@example.com", "a@example.com\r\nBcc: b@example.com", "a b@example.com", "<x> <a@b.c>"],
)
def test_a_sender_that_is_no_address_is_refused(sender: str) -> None:
    assert "the sender is an address" in refused(sender=sender)["GATEHOUSE_MAIL__SENDER"]


@pytest.mark.parametrize(
    "pages", ["", "example.com", "ftp://example.com", "https://", "https://x/?a", "https://x/#a", "http://[", "//x"]
)
def test_pages_that_no_link_could_lead_to_are_refused(pages: str) -> None:
    assert "the pages are a URL" in refused(pages=pages)["GATEHOUSE_MAIL__PAGES"]


def test_pages_are_taken_without_their_last_slash() -> None:
    assert Settings(mail={"pages": "https://app.example.com/a/"}).mail.pages == "https://app.example.com/a"


def test_what_belongs_together_is_asked_for(tmp_path: Path) -> None:
    assert "belong together" in str(refused(username="mailer"))
    assert "belong together" in str(refused(password="secret"))
    plain = refused(host="localhost", username="mailer", password="secret", security="none")
    assert "would be sent unencrypted" in str(plain)
    assert "is no folder" in str(refused(templates=tmp_path / "none"))
    assert "is no file" in str(refused(ca_file=tmp_path / "none"))
    assert refused(security="ssl").keys() == {"GATEHOUSE_MAIL__SECURITY"}
    assert refused(port=0).keys() == {"GATEHOUSE_MAIL__PORT"}
    assert refused(recover_lifetime=0).keys() == {"GATEHOUSE_MAIL__RECOVER_LIFETIME"}


def test_the_password_is_in_no_repr() -> None:
    settings = Settings(mail={"username": "mailer", "password": "hidden words"})
    assert "hidden words" not in repr(settings) + str(settings.model_dump())
