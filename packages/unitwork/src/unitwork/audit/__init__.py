"""The audit trail: the author, action and field changes of each write, stored in the same transaction.

Importing it adds the table `audit_entries` to what `unitwork.with_library_tables` gives, unless the host maps a class
of entries of its own.

Here: `Audited`, the base of recorded models, the entries, and `AuditTrail`, which sessions call after each write.
"""

from unitwork.audit.entry import CONFIDENTIAL, DERIVED, AuditAction, AuditColumns, AuditEntry, without_values
from unitwork.audit.forgetting import forget, forget_function
from unitwork.audit.trail import AuditTrail
from unitwork.models.audited import Audited

__all__ = [
    "CONFIDENTIAL",
    "DERIVED",
    "AuditAction",
    "AuditColumns",
    "AuditEntry",
    "AuditTrail",
    "Audited",
    "forget",
    "forget_function",
    "without_values",
]
