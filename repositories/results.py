"""Results: what is taken of a lone statement's result, on the driver's side of the crossing."""

from typing import Any

from sqlalchemy import CursorResult, Result


def values(result: Result[Any]) -> list[Any]:
    """The first column of every row."""
    return list(result.scalars())


def first_value(result: Result[Any]) -> Any:
    """The first column of the first row; None without a row."""
    return result.scalar()


def row_count(result: CursorResult[Any]) -> int:
    """How many rows a write matched."""
    return result.rowcount
