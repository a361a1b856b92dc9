"""Bulk defaults: functions that compute a column's default for many rows at once."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

ForMany = Callable[[Any, Mapping[str, Sequence[Any]], int], Sequence[Any]]
"""Computes the default of each row, from a context with `execution_options`, the columns computed so far, and the
number of rows.
"""

_for_many: Final[dict[Callable[..., Any], ForMany]] = {}


def gives_one(default: Callable[[], Any]) -> None:
    """Declare a default independent of the row: a bulk insert calls it once and uses the value for all rows."""
    _for_many[default] = lambda _context, _columns, count: [default()] * count


def gives_many(default: Callable[..., Any], many: ForMany) -> None:
    """Declare `many` as the replacement of a default in bulk inserts, called once for all rows."""
    _for_many[default] = many


def for_many(default: Callable[..., Any]) -> ForMany | None:
    """Return the bulk version of a default; None if it must be called for each row."""
    return _for_many.get(inspect.unwrap(default))
