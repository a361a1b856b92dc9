"""NotificationService: notifications to people."""

from typing import Final

from domain import OutboxMessage
from domain.mail import MailKind
from repositories.user_dao import UserDao
from services.messaging.handlers import at_least_once
from services.messaging.mails import Mails
from services.messaging.notifier import Notification, Notifier

WELCOME: Final = "user.registered"
"""The topic of a message that sends a welcome to a new account."""


class NotificationService:
    """Sends notifications. Each is an outbox message first, so it follows a commit."""

    def __init__(self, users: UserDao, notifier: Notifier, mails: Mails) -> None:
        self._users = users
        self._notifier = notifier
        self._mails = mails

    @at_least_once
    async def welcome(self, message: OutboxMessage) -> None:
        """Handle a `WELCOME` message. Nothing is sent if the account has been deleted."""
        notification = await self._mails.due(message, MailKind.REGISTERED)
        if notification is None:
            user = await self._users.get_or_none(int(message.payload["user_id"]))
            address = None if user is None or user.email is not None else user.phone
            if user is not None and address is not None:
                text = f"Welcome, {user.display_name or address}."
                notification = Notification(message.id, "welcome", user.id, address, text)
        await self._send(notification)

    @at_least_once
    async def mail(self, message: OutboxMessage) -> None:
        """Handle a `MAIL` message. Nothing is sent if the mail is out of date, or its account has been deleted."""
        await self._send(await self._mails.due(message))

    async def _send(self, notification: Notification | None) -> None:
        if notification is None:
            return
        await self._notifier.send(notification)
        if await self._users.get_or_none(notification.user_id, include_deleted=True) is None:
            await self._notifier.forget([notification.user_id])  # purged while the notification was sent
