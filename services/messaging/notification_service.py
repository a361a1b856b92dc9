"""NotificationService: what people are told, and when."""

from typing import Final

from domain import OutboxMessage
from repositories.inbox_dao import InboxDao
from repositories.user_dao import UserDao
from services.messaging.notifier import Notification, Notifier
from unitwork import TransactionProvider

WELCOME: Final = "user.registered"
"""The topic of a message that has a new account welcomed."""


class NotificationService:
    """Notifications follow a commit: each is a message of the outbox first."""

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        inbox: InboxDao,
        notifier: Notifier,
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._inbox = inbox
        self._notifier = notifier

    async def welcome(self, message: OutboxMessage) -> None:
        """Handles `WELCOME`. An account that is deleted meanwhile is told nothing."""
        user = await self._users.get_or_none(int(message.payload["user_id"]))
        address = None if user is None else user.email or user.phone
        if user is not None and address is not None:
            await self._notifier.send(
                Notification(message.id, "welcome", user.id, address, f"Welcome, {user.display_name or address}.")
            )
        async with self._transaction(name="done: welcome"):
            await self._inbox.take(message.id)
