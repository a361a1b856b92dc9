"""Thresholds: from when on the monitor reports something. May be changed while it runs."""

from dataclasses import dataclass, fields
from typing import Protocol

from unitwork.options import DatabaseOptions, Options


@dataclass
class Thresholds:
    """None reports nothing of the kind. Durations are seconds. Raises ValueError, on assignment too, for one below 0
    and for fewer repetitions than 2.
    """

    slow_sql: float | None = 0.5
    """A statement takes as long."""
    session_leak: float | None = 60.0
    """A unit holds its connection as long."""
    idle_in_transaction: float | None = 5.0
    """A transaction has been left alone as long, and nothing was sent."""
    lock_wait: float | None = 1.0
    """A statement has run as long, and waits for a lock. PostgreSQL alone tells."""
    repeated_sql: int | None = 10
    """Statements that differ in values alone are read as often from one line, in one transaction or request."""

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
        """As configured."""
        return cls(
            slow_sql=settings.slow_sql_threshold,
            session_leak=settings.session_leak_threshold,
            idle_in_transaction=settings.idle_in_transaction_threshold,
            lock_wait=settings.lock_wait_threshold,
            repeated_sql=settings.repeated_sql_threshold,
        )

    @property
    def shortest(self) -> float:
        """Seconds of the shortest one that is watched by a clock."""
        watched = (self.session_leak, self.idle_in_transaction, self.lock_wait)
        return min((value for value in watched if value is not None), default=60.0)


class Configured(Protocol):
    """The settings, as far as the monitor is concerned."""

    @property
    def database(self) -> Options: ...


class Defaults:
    """Settings that nobody has given."""

    def __init__(self) -> None:
        self.database: Options = DatabaseOptions("sqlite:///unused.db")

    def itself(self) -> "Defaults":
        return self
