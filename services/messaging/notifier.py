"""Notifier: the protocol of sending notifications, and an implementation that writes files."""

import asyncio
import json
import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

_USER: Final = re.compile(r'"user_id": "(\d+)"')
"""The account's id in a file. It is written before the address, so that a truncated draft with an address has an id."""


@dataclass(frozen=True)
class Notification:
    """A notification. `id` is the same in each attempt, so that a receiver can detect duplicates."""

    id: int
    kind: str
    user_id: int
    address: str
    """An e-mail address or a phone number."""
    text: str
    subject: str = ""
    html: str | None = None
    """The text as HTML; None for plain text only."""


class Notifier(Protocol):
    """Sends notifications. Should send one with a known id only once, as far as it can."""

    async def send(self, notification: Notification) -> None:
        """Send the notification. Raising means that it wasn't sent and is to be retried."""
        ...

    async def forget(self, user_ids: Collection[int]) -> None:
        """Delete stored notifications to these accounts, which are purged. May be called more than once for each."""
        ...


class FileNotifier:
    """Writes each notification to a file, named by its id and readable by this user alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, notification: Notification) -> None:
        """Write the file atomically, in a thread."""
        await asyncio.to_thread(self._write, notification)

    async def forget(self, user_ids: Collection[int]) -> None:
        """Delete the accounts' files, in a thread, including drafts that a killed process has left."""
        await asyncio.to_thread(self._forget, frozenset(map(str, user_ids)))

    def _forget(self, user_ids: Collection[str]) -> None:
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process has deleted it concurrently
                named = _USER.search(path.read_text(encoding="utf-8", errors="replace"))
                if named is not None and named[1] in user_ids:
                    path.unlink()

    def _write(self, notification: Notification) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{notification.id}.json"
        draft = path.with_suffix(f".{os.getpid()}")
        record = asdict(notification) | {"id": str(notification.id), "user_id": str(notification.user_id)}
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(record, file, ensure_ascii=False)
        draft.replace(path)
