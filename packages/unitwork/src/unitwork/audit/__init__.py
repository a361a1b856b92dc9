"""The audit trail: who changed what, stored with the change.

Importing it adds the table `audit_entries` to the metadata of `Base`.

Here: `Audited`, which a model derives from to be recorded, the entries, and `AuditTrail`, which sessions tell of what
they write.
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
