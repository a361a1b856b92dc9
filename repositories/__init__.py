"""Repositories: every SELECT on the accounts' tables is here.

Here: one DAO for each noun of the accounts. Elsewhere: `BaseDao` and its builders (`unitwork.dao`), commits
(`services`), rules (`domain`).
"""

from repositories.audit_dao import AuditDao
from repositories.idempotency_dao import IdempotencyDao
from repositories.inbox_dao import InboxDao
from repositories.job_dao import JobDao
from repositories.mail_dao import MailDao
from repositories.outbox_dao import OutboxDao, OutboxLag
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter

__all__ = [
    "AuditDao",
    "IdempotencyDao",
    "InboxDao",
    "JobDao",
    "MailDao",
    "OutboxDao",
    "OutboxLag",
    "TokenDao",
    "UserDao",
    "UserFilter",
]
