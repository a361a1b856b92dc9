"""Hashes that cost nothing, and what was hashed to look at."""

from typing import Any

from services import Passwords
from settings.passwords import PasswordSettings

Spied = list[tuple[str, str]]
"""What argon2 did, and with which parameters."""


def cheap(**changes: Any) -> Passwords:
    values: dict[str, Any] = {"time_cost": 1, "memory_cost": 8, "parallelism": 1, **changes}
    costs = PasswordSettings.model_construct(**values)
    return Passwords(lambda: costs)
