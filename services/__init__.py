"""Services: the operations of the system, each with at most one open transaction. No SQL and no HTTP here.

Here: which work is committed together, and which domain error a constraint violation becomes. Elsewhere: permissions
(`app`), rules of single values (`domain`), statements (`repositories`).
"""

from services.access_service import AccessService
from services.address_proofs import AddressProofs
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
    "AccessService",
    "AddressProofs",
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
