"""What we ask of a session: every SELECT on business tables is in this room.

Here: `BaseDao`, the builders it hands out, pages, advisory locks, one DAO for each noun. Not here: when work is
committed (`services`, through `database`), rules (`domain`).
"""

from repositories.audit_dao import AuditDao
from repositories.idempotency_dao import IdempotencyDao
from repositories.inbox_dao import InboxDao
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao, OutboxLag
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter
from unitwork.audit import AuditTrail
from unitwork.dao import AdvisoryLocks, BaseDao, Count, Cursors, Delete, Page, Query, Slice, Update

__all__ = [
    "AdvisoryLocks",
    "AuditDao",
    "AuditTrail",
    "BaseDao",
    "Count",
    "Cursors",
    "Delete",
    "IdempotencyDao",
    "InboxDao",
    "JobDao",
    "OutboxDao",
    "OutboxLag",
    "Page",
    "Query",
    "Slice",
    "TokenDao",
    "Update",
    "UserDao",
    "UserFilter",
]
