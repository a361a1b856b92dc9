"""What the business knows: mapped models, rules, errors. No I/O, no session.

Here: `User` and `Token` with their rules, the audit trail's entries, messages and jobs, who is acting and for which
request, ids. Not here: how rows are asked for (`repositories`), when they are made durable (`database`), who may do
what (`services`).
"""

from domain.idempotency_key import IdempotencyKey
from domain.inbox_message import InboxMessage
from domain.job import Job, JobStatus
from domain.outbox_message import OutboxMessage
from domain.token import Token, TokenKind, TokenPair
from domain.user import Role, User, UserChanges, UserStatus
from unitwork import NodeLease, Snowflake
from unitwork.audit import AuditAction, Audited, AuditEntry
from unitwork.models import SYSTEM, Base, ModelMixin, acting_as, acting_user_id, bound_request_id, current_request_id

__all__ = [
    "SYSTEM",
    "AuditAction",
    "AuditEntry",
    "Audited",
    "Base",
    "IdempotencyKey",
    "InboxMessage",
    "Job",
    "JobStatus",
    "ModelMixin",
    "NodeLease",
    "OutboxMessage",
    "Role",
    "Snowflake",
    "Token",
    "TokenKind",
    "TokenPair",
    "User",
    "UserChanges",
    "UserStatus",
    "acting_as",
    "acting_user_id",
    "bound_request_id",
    "current_request_id",
]
