"""Hashes that cost nothing, and what was hashed to look at."""

from services import Passwords

Spied = list[tuple[str, str]]
"""What argon2 did, and with which parameters."""


def cheap(**changes: int) -> Passwords:
    return Passwords(**{"time_cost": 1, "memory_cost": 8, "parallelism": 1, **changes})
