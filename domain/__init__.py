"""What the business knows: mapped models, rules, errors. No I/O, no session.

Here: `User` and `Token` with their rules, the audit trail's entries, messages and jobs, who is acting and for which
request, ids. Not here: how rows are asked for (`repositories`), when they are made durable (`database`), who may do
what (`services`).
"""

from domain.acting_user import SYSTEM, acting_as, acting_user_id
from domain.audit_entry import AuditAction, Audited, AuditEntry
from domain.idempotency_key import IdempotencyKey
from domain.inbox_message import InboxMessage
from domain.job import Job, JobStatus
from domain.model import Base, ModelMixin
from domain.node_lease import NodeLease
from domain.outbox_message import OutboxMessage
from domain.request_id import bound_request_id, current_request_id
from domain.snowflake import Snowflake
from domain.token import Token, TokenKind, TokenPair
from domain.user import Role, User, UserChanges, UserStatus

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
