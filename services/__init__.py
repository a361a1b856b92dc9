"""What the system does: at most one open transaction for each public method. Speaks neither SQL nor HTTP.

Here: which work is committed together, and what a violated constraint means to the business. Not here: who may
call (`app`), rules of single values (`domain`), statements (`repositories`).
"""

from services.audit_service import AuditService
from services.auth_service import AuthService
from services.contact_check import ContactCheck
from services.csv.user_csv_service import UserCsvService
from services.messaging.outbox_service import OutboxService
from services.passwords import Passwords
from services.rate_limits import RateLimits
from services.retention_service import RetentionService
from services.user_service import UserPage, UserService

__all__ = [
    "AuditService",
    "AuthService",
    "ContactCheck",
    "OutboxService",
    "Passwords",
    "RateLimits",
    "RetentionService",
    "UserCsvService",
    "UserPage",
    "UserService",
]
