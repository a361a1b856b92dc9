"""NotificationService: notifications to people."""

from typing import Final

from domain import OutboxMessage
from repositories.user_dao import UserDao
from services.messaging.handlers import at_least_once
from services.messaging.notifier import Notification, Notifier

WELCOME: Final = "user.registered"
"""The topic of a message that sends a welcome to a new account."""


class NotificationService:
    """Sends notifications. Each is an outbox message first, so it follows a commit."""

    def __init__(self, users: UserDao, notifier: Notifier) -> None:
        self._users = users
        self._notifier = notifier

    @at_least_once
    async def welcome(self, message: OutboxMessage) -> None:
        """Handle a `WELCOME` message. Nothing is sent if the account has been deleted."""
        user = await self._users.get_or_none(int(message.payload["user_id"]))
        address = None if user is None else user.email or user.phone
        if user is not None and address is not None:
            await self._notifier.send(
                Notification(message.id, "welcome", user.id, address, f"Welcome, {user.display_name or address}.")
            )
            if await self._users.get_or_none(user.id, include_deleted=True) is None:
                await self._notifier.forget([user.id])  # purged while the notification was sent
