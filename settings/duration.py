"""Duration: a length of time in a setting."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator


def _seconds(value: Any) -> Any:
    """Convert a numeric text to seconds: pydantic would read it as days."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
"""Seconds, or ISO 8601 (`P30D`)."""
