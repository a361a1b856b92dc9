"""Domain: mapped models, rules and errors of the accounts. No I/O, no session.

Here: `User` and `Token` with their rules, messages and jobs. Elsewhere: mixins of models and the acting user
(`unitwork.models`), queries (`repositories`), permissions and transactions (`app`, `services`).
"""

from domain.idempotency_key import IdempotencyKey
from domain.inbox_message import InboxMessage
from domain.job import Job, JobStatus
from domain.mail import Mail, MailKind
from domain.outbox_message import OutboxMessage
from domain.token import Token, TokenKind, TokenPair
from domain.user import Role, User, UserChanges, UserStatus

__all__ = [
    "IdempotencyKey",
    "InboxMessage",
    "Job",
    "JobStatus",
    "Mail",
    "MailKind",
    "OutboxMessage",
    "Role",
    "Token",
    "TokenKind",
    "TokenPair",
    "User",
    "UserChanges",
    "UserStatus",
]
