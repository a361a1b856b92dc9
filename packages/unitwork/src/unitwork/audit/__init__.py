"""The audit trail: the author, action and field changes of each write, stored in the same transaction.

Importing it adds the table `audit_entries` to the metadata of `Base`.

Here: `Audited`, the base of recorded models, the entries, and `AuditTrail`, which sessions call after each write.
"""

from unitwork.audit.entry import CONFIDENTIAL, DERIVED, AuditAction, AuditEntry, without_values
from unitwork.audit.trail import AuditTrail
from unitwork.models.audited import Audited

__all__ = [
    "CONFIDENTIAL",
    "DERIVED",
    "AuditAction",
    "AuditEntry",
    "AuditTrail",
    "Audited",
    "without_values",
]
