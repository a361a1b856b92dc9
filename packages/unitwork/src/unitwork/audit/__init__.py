"""The audit trail: who changed what, stored with the change."""
