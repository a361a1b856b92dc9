"""Notifier: whoever tells people things. Here with an implementation that writes files."""

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Notification:
    """Something to tell. `id` is the same each time it is tried, so that a receiver knows it again."""

    id: int
    kind: str
    user_id: int
    address: str
    """An e-mail address or a phone number."""
    text: str


class Notifier(Protocol):
    """Tells people things. Called again with the same id it must not tell twice, as far as it can."""

    async def send(self, notification: Notification) -> None:
        """Return once it is on its way. Raises otherwise: it is then tried again."""
        ...


class FileNotifier:
    """Writes each notification to a file of its own, readable by this user alone. The same id is the same file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, notification: Notification) -> None:
        """In a thread. A file is whole, or not there."""
        await asyncio.to_thread(self._write, notification)

    def _write(self, notification: Notification) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{notification.id}.json"
        draft = path.with_suffix(f".{os.getpid()}")
        record = asdict(notification) | {"id": str(notification.id), "user_id": str(notification.user_id)}
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(record, file, ensure_ascii=False)
        draft.replace(path)
