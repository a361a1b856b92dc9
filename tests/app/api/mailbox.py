"""Mailbox: what accounts were mailed, from the files that the notifier of development writes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from containers import Container
from services.messaging.inbox_service import Handled
from unitwork.models import SYSTEM, acting_as


class Mailbox:
    """Does the worker's part, and reads the mails in the order they were asked for."""

    def __init__(self, container: Container) -> None:
        self._container = container

    async def deliver(self) -> list[dict[str, Any]]:
        """Handle every message that waits; return all mails so far."""
        with acting_as(SYSTEM):
            page = await self._container.outbox_service().list(limit=1000)
            for message in page.items:
                assert await self._container.inbox_service().handle(message.id) is Handled.HANDLED
        folder = self._container.settings().notifications
        files = sorted(folder.glob("*.json"), key=lambda path: int(path.stem)) if folder.exists() else []
        return [json.loads(path.read_text(encoding="utf-8")) for path in files]

    async def of(self, kind: str, address: str | None = None) -> list[dict[str, Any]]:
        """Deliver, and return the mails of this kind, or of it to this address."""
        return [mail for mail in await self.deliver() if mail["kind"] == kind and address in (None, mail["address"])]

    async def secret(self, kind: str) -> str:
        """Deliver, and return the secret of the latest mail of this kind."""
        return secret_in((await self.of(kind))[-1])


def secret_in(mail: dict[str, Any]) -> str:
    """The secret of a mail's link."""
    (found,) = set(re.findall(r"#(ghm_[\w-]{43})$", mail["text"], flags=re.MULTILINE))
    return str(found)


@pytest.fixture
def mailbox(container: Container) -> Mailbox:
    return Mailbox(container)


@pytest.fixture
def set_options(container: Container) -> Callable[..., None]:
    """Override fields of sections of the settings: `set_options(tokens={"unverified_login": False})`."""

    def override(**sections: dict[str, Any]) -> None:
        settings = container.settings()
        changed = {name: getattr(settings, name).model_copy(update=fields) for name, fields in sections.items()}
        container.settings.override(settings.model_copy(update=changed))

    return override
