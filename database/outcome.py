"""Outcome: how a transaction ended, as far as it can be known."""

from enum import StrEnum


class Outcome(StrEnum):
    COMMITTED = "committed"
    """Everything the unit wrote is durable."""
    ROLLED_BACK = "rolled back"
    """Nothing the unit wrote is stored."""
