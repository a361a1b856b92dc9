"""Outcome: how a transaction ended, as far as it can be determined."""

from enum import StrEnum


class Outcome(StrEnum):
    COMMITTED = "committed"
    """Everything the transaction wrote is durable."""
    ROLLED_BACK = "rolled back"
    """The transaction stored nothing."""
    UNKNOWN = "unknown"
    """COMMIT was sent and the connection was lost before its answer: either everything is stored or nothing."""
