"""What we ask of a session: every SELECT on business tables is in this room.

Here: `BaseDao`, the builders it hands out, pages, one DAO for each noun. Not here: when work is committed
(`services`, through `database`), rules (`domain`).
"""

from repositories.audit_dao import AuditDao
from repositories.audit_trail import AuditTrail
from repositories.base_dao import BaseDao
from repositories.count import Count
from repositories.cursor import Cursors
from repositories.inbox_dao import InboxDao
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao, OutboxLag
from repositories.pagination import Slice
from repositories.query import Query
from repositories.token_dao import TokenDao
from repositories.update import Update
from repositories.user_dao import UserDao, UserFilter

__all__ = [
    "AuditDao",
    "AuditTrail",
    "BaseDao",
    "Count",
    "Cursors",
    "InboxDao",
    "JobDao",
    "OutboxDao",
    "OutboxLag",
    "Query",
    "Slice",
    "TokenDao",
    "Update",
    "UserDao",
    "UserFilter",
]
