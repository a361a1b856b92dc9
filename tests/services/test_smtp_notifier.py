"""Mails are given to a real SMTP server, encrypted, each under an id of its own that every attempt repeats."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from containers import Container
from services.messaging.inbox_service import Handled
from services.messaging.notifier import FileNotifier, Notification
from services.messaging.smtp_notifier import MailNotSent, SmtpNotifier, notifier_of
from settings.mail import MailSettings
from tests.services.mail_server import PASSWORD, USERNAME, MailServer, mail_server
from tests.services.messages import welcomed
from unitwork.models import SYSTEM, acting_as

MAIL = Notification(4711, "verify", 7, "Ann@example.com", "Über den Link\n", "Bestätigen: «ja»", "<p>Link</p>")
PLAIN: dict[str, Any] = {"host": "localhost", "security": "none", "sender": "Gate, Ltd. <no-reply@example.org>"}


@pytest.fixture(autouse=True)
def _acting() -> Iterator[None]:
    with acting_as(SYSTEM):
        yield


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
def context(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    return context


def notifier(folder: Path, **given: Any) -> SmtpNotifier:
    return SmtpNotifier(MailSettings.model_validate(PLAIN | given), folder)


async def test_a_mail_arrives_as_text_and_html_with_all_its_characters(server: MailServer, tmp_path: Path) -> None:
    await notifier(tmp_path, port=server.port).send(MAIL)
    (mail,) = server.kept
    assert server.recipients == ["Ann@example.com"]
    assert (mail["From"], mail["To"]) == ('"Gate, Ltd." <no-reply@example.org>', "Ann@example.com")
    assert (mail["Subject"], mail["Auto-Submitted"]) == ("Bestätigen: «ja»", "auto-generated")
    assert mail["Message-ID"] == "<4711@example.org>"
    assert mail["Date"] is not None
    html: Any = mail.get_body(("html",))
    assert (server.text().strip(), html.get_content().strip()) == ("Über den Link", "<p>Link</p>")


@pytest.mark.parametrize(
    ("address", "recipient"),
    [("jörg@example.com", "jörg@example.com"), ("ann@bücher.example", "ann@xn--bcher-kva.example")],
)
async def test_an_address_in_another_script_gets_its_mail(
    server: MailServer, tmp_path: Path, address: str, recipient: str
) -> None:
    await notifier(tmp_path, port=server.port).send(Notification(1, "verify", 7, address, "text", "subject"))
    assert server.recipients == [recipient]


async def test_starttls_comes_before_the_password_and_its_certificate_is_verified(
    context: ssl.SSLContext, certificates: Path, tmp_path: Path
) -> None:
    async with mail_server(tls=context, login=True) as server:
        secure = {"port": server.port, "security": "starttls", "username": USERNAME, "password": PASSWORD}
        await notifier(tmp_path, **secure, ca_file=certificates / "server.crt").send(MAIL)
        assert (len(server.kept), server.encrypted) == (1, [True])
        with pytest.raises(MailNotSent) as untrusted:
            await notifier(tmp_path, **secure, ca_file=certificates / "other.crt").send(MAIL)
        with pytest.raises(MailNotSent, match=r"refuses the login \(535\); check MAIL__USERNAME") as wrong:
            await notifier(tmp_path, **secure | {"password": "other secret"}, ca_file=certificates / "server.crt").send(
                MAIL
            )
        assert len(server.kept) == 1
    assert "check MAIL__HOST" in str(untrusted.value)
    for refusal in (untrusted, wrong):
        assert not {"other secret", PASSWORD, MAIL.address} & set(str(refusal.value).split())


async def test_tls_from_the_first_byte_is_spoken_where_it_is_set(
    context: ssl.SSLContext, certificates: Path, tmp_path: Path
) -> None:
    async with mail_server(tls=context, implicit=True) as server:
        await notifier(tmp_path, port=server.port, security="tls", ca_file=certificates / "server.crt").send(MAIL)
        assert len(server.kept) == 1


async def test_a_server_without_starttls_gets_no_mail(server: MailServer, tmp_path: Path) -> None:
    with pytest.raises(MailNotSent):
        await notifier(tmp_path, port=server.port, security="starttls").send(MAIL)
    assert server.kept == []


async def test_what_the_server_refuses_is_told_without_the_address(server: MailServer, tmp_path: Path) -> None:
    server.refused.add(MAIL.address)
    with pytest.raises(MailNotSent, match=rf"localhost:{server.port} refuses the address \(550\)") as refused:
        await notifier(tmp_path, port=server.port).send(MAIL)
    server.refused.clear()
    server.answers = ["451 4.3.0 not now, Ann@example.com"]
    with pytest.raises(MailNotSent, match="answers 451; its log says why") as later:
        await notifier(tmp_path, port=server.port).send(MAIL)
    assert all(MAIL.address not in str(error.value) + repr(error.value) for error in (refused, later))
    assert server.kept == []


async def test_a_server_that_is_silent_or_away_is_given_up(server: MailServer, tmp_path: Path) -> None:
    server.speaks.clear()
    with pytest.raises(MailNotSent, match="doesn't answer in time"):
        await notifier(tmp_path, port=server.port, timeout=0.3).send(MAIL)
    server.speaks.set()
    with pytest.raises(MailNotSent, match="check MAIL__HOST, MAIL__PORT"):
        await notifier(tmp_path, port=1).send(MAIL)


async def test_a_phone_number_gets_a_file(server: MailServer, tmp_path: Path) -> None:
    await notifier(tmp_path / "told", port=server.port).send(Notification(1, "welcome", 7, "+14155550132", "Hello"))
    assert (server.kept, [path.name for path in (tmp_path / "told").iterdir()]) == ([], ["1.json"])
    await notifier(tmp_path / "told", port=server.port).forget([7])
    assert list((tmp_path / "told").iterdir()) == []


def test_files_are_written_unless_a_server_is_named(tmp_path: Path) -> None:
    assert isinstance(notifier_of(MailSettings(), tmp_path), FileNotifier)
    assert isinstance(notifier_of(MailSettings(host="localhost"), tmp_path), SmtpNotifier)


async def test_a_mail_is_retried_by_the_outbox_until_the_server_takes_it_under_one_id(
    container: Container, server: MailServer
) -> None:
    options = MailSettings.model_validate(PLAIN | {"port": server.port})
    container.settings.override(container.settings().model_copy(update={"mail": options}))
    await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    server.answers = ["421 4.3.2 going down", "452 4.2.2 full"]
    inbox = container.inbox_service()
    for _ in range(2):
        assert await inbox.handle(message.id) is Handled.FAILED
        assert "421" in (told := (await container.outbox_service().get(message.id)).why_not_done()) or "452" in told
        await container.outbox_service().retry(message.id)  # its pause is over
    assert [await inbox.handle(message.id) for _ in range(2)] == [Handled.HANDLED, Handled.NOT_WAITING]
    assert server.ids() == [f"<{message.id}@example.org>"]


async def test_a_worker_that_dies_after_the_server_took_a_mail_sends_the_same_one_again(
    container: Container, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMTP has no way to tell the two apart; the second copy has the Message-ID and the link of the first."""
    options = MailSettings.model_validate(PLAIN | {"port": server.port})
    container.settings.override(container.settings().model_copy(update={"mail": options}))
    await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    dao: Any = type(container.inbox_dao())
    with monkeypatch.context() as dying:

        async def die(self: Any, message_id: int) -> bool:
            raise KeyboardInterrupt

        dying.setattr(dao, "take", die)
        with pytest.raises(KeyboardInterrupt):
            await container.inbox_service().handle(message.id)
    await container.outbox_service().retry(message.id)  # its lease is over
    assert await container.inbox_service().handle(message.id) is Handled.HANDLED
    first, second = server.ids()
    assert first == second
    assert server.text(0) == server.text(1)
    assert len(await container.mail_dao().query().all()) == 1
