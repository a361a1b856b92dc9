"""What the business knows: mapped models, rules, errors. No I/O, no session.

Here: `User` and `Token` with their rules, messages and jobs. Not here: what mapped models share and who is acting
(`unitwork.models`), how rows are asked for (`repositories`), who may do what (`services`).
"""

from domain.idempotency_key import IdempotencyKey
from domain.inbox_message import InboxMessage
from domain.job import Job, JobStatus
from domain.outbox_message import OutboxMessage
from domain.token import Token, TokenKind, TokenPair
from domain.user import Role, User, UserChanges, UserStatus

__all__ = [
    "IdempotencyKey",
    "InboxMessage",
    "Job",
    "JobStatus",
    "OutboxMessage",
    "Role",
    "Token",
    "TokenKind",
    "TokenPair",
    "User",
    "UserChanges",
    "UserStatus",
]
