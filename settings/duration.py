"""Duration: a length of time as settings name it."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator


def _seconds(value: Any) -> Any:
    """Text that is a number counts seconds: pydantic takes it for a number of days that lacks its unit."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""Seconds, or ISO 8601 (`P30D`)."""
