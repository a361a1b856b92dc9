"""Texts of mails: by language, ours unless the team has its own, and never markup from a value."""

from pathlib import Path

import pytest

from domain.mail import MailKind
from services.messaging.mail_templates import PLACEHOLDERS, MailTemplates, UnusableTemplate

VALUES = {name: f"[{name}]" for name in PLACEHOLDERS}
OURS = Path(__file__).parent.parent.parent / "services" / "messaging" / "templates"


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("kind", MailKind)
def test_every_mail_has_a_text_and_html_in_every_language_of_ours(kind: MailKind, language: str) -> None:
    told = MailTemplates().text(kind, language, VALUES)
    assert told.subject
    assert "$" not in told.text + (told.html or "$")
    assert told.html is not None
    assert f'<html lang="{language}">' in told.html
    for text in (told.text, told.html):
        assert ("[link]" in text) is kind.proves
        assert ("[expires]" in text) is kind.proves
    assert kind is MailKind.INVITE or "[address]" in told.text or "[link]" in told.text


@pytest.mark.parametrize(
    ("locale", "default", "subject"),
    [
        ("de-AT", "en", "Neues Passwort setzen"),
        ("de", "en", "Neues Passwort setzen"),
        ("fr", "en", "Set a new password"),
        (None, "en", "Set a new password"),
        (None, "de", "Neues Passwort setzen"),
        ("fr-CH", "de", "Neues Passwort setzen"),
        ("en", "de", "Set a new password"),
        (None, "xx", "Set a new password"),
    ],
)
def test_the_language_is_the_account_s_else_the_configured_one(locale: str | None, default: str, subject: str) -> None:
    assert MailTemplates(language=default).text("recover", locale, VALUES).subject == subject


def test_a_team_s_template_comes_before_ours_and_decides_about_html(tmp_path: Path) -> None:
    for language in ("en", "de-AT"):
        (tmp_path / language).mkdir()
    (tmp_path / "en" / "recover.txt").write_text("Subject: For $name\n\nHere: $link costs 5 $$\n")
    (tmp_path / "de-AT" / "recover.txt").write_text("Subject: Servus\n\n$secret\n")
    (tmp_path / "de-AT" / "recover.html").write_text("<b>$name</b>")
    templates = MailTemplates(tmp_path)
    told = templates.text("recover", "en-GB", VALUES)
    assert (told.subject, told.text, told.html) == ("For [name]", "Here: [link] costs 5 $\n", None)
    assert templates.text("recover", "de-AT", VALUES).html == "<b>[name]</b>"
    assert templates.text("recover", "de", VALUES).subject == "Neues Passwort setzen"
    assert templates.text("verify", "en", VALUES).html is not None


def test_a_value_is_text_in_html_and_one_line_in_a_subject(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "verify.txt").write_text("Subject: To $name\n\n$name\n")
    (tmp_path / "en" / "verify.html").write_text('<a title="$name">')
    told = MailTemplates(tmp_path).text("verify", None, VALUES | {"name": '"><script>\r\nBcc: eve@example.com'})
    assert told.subject == 'To "><script> Bcc: eve@example.com'
    assert "<script>" not in (told.html or "")
    assert "&quot;&gt;&lt;script&gt;" in (told.html or "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("No subject\n\n$link", "has no subject; begin it with a line `Subject: …`"),
        ("Subject: \n\n$link", "has no subject; begin it with a line `Subject: …`"),
        ("Subject: x\n\n$linc", "has $linc, which is no placeholder; known are"),
        ("Subject: $you\n\n$link", "has $you, which is no placeholder"),
        ("Subject: x\n\n5 $ or so", "has a `$` that begins no placeholder; write `$$`"),
    ],
)
def test_a_template_that_can_t_be_used_is_named_with_its_fault(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "verify.txt").write_text(text)
    with pytest.raises(UnusableTemplate) as unusable:
        MailTemplates(tmp_path).text("verify", None, VALUES)
    assert f"the mail template en/verify.txt {reason}" in str(unusable.value)


def test_a_mail_without_template_is_named() -> None:
    with pytest.raises(UnusableTemplate, match=r"en/nothing\.txt doesn't exist; add it"):
        MailTemplates().text("nothing", "de", VALUES)


def test_ours_are_all_those_of_a_kind() -> None:
    names = {path.stem for path in OURS.rglob("*.txt")} | {path.stem for path in OURS.rglob("*.html")}
    assert names == set(MailKind)
