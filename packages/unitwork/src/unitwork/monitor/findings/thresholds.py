"""Thresholds: limits beyond which the monitor reports. They may be changed while it runs."""

from dataclasses import dataclass, fields
from typing import Protocol

from unitwork.options import DatabaseOptions, Options


@dataclass
class Thresholds:
    """Limits of each kind of finding; None disables it. Durations are in seconds.

    Raises ValueError, also on assignment, for a negative duration and for fewer than 2 repetitions.
    """

    slow_sql: float | None = 0.5
    """Maximum duration of a statement."""
    session_leak: float | None = 60.0
    """Maximum time for which a unit holds its connection."""
    idle_in_transaction: float | None = 5.0
    """Maximum time between two statements of a transaction."""
    lock_wait: float | None = 1.0
    """Duration of a statement after which PostgreSQL is queried whether it waits for a lock."""
    repeated_sql: int | None = 10
    """Number of reads of one statement shape from one line, in one transaction or request."""

    def __setattr__(self, name: str, value: float | None) -> None:
        if name not in {field.name for field in fields(self)}:
            msg = f"there is no threshold {name}"
            raise AttributeError(msg)
        if value is not None and (value < 2 if name == "repeated_sql" else value <= 0):
            msg = f"{name} is above {1 if name == 'repeated_sql' else 0}, or None: {value:g}"
            raise ValueError(msg)
        super().__setattr__(name, value)

    @classmethod
    def of(cls, settings: Options) -> "Thresholds":
        """Return the thresholds of the settings."""
        return cls(
            slow_sql=settings.slow_sql_threshold,
            session_leak=settings.session_leak_threshold,
            idle_in_transaction=settings.idle_in_transaction_threshold,
            lock_wait=settings.lock_wait_threshold,
            repeated_sql=settings.repeated_sql_threshold,
        )

    @property
    def shortest(self) -> float:
        """The shortest of the durations that are checked by a timer."""
        watched = (self.session_leak, self.idle_in_transaction, self.lock_wait)
        return min((value for value in watched if value is not None), default=60.0)


class Configured(Protocol):
    """The settings that the monitor reads."""

    @property
    def database(self) -> Options: ...


class Defaults:
    """The default settings."""

    def __init__(self) -> None:
        self.database: Options = DatabaseOptions("sqlite:///unused.db")

    def itself(self) -> "Defaults":
        return self
