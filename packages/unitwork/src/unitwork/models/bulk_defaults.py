"""Column defaults for many rows at once: what a bulk insert asks in the place of a default for each row."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

ForMany = Callable[[Any, Mapping[str, Sequence[Any]], int], Sequence[Any]]
"""Of a context with `execution_options`, the columns whose values stand already, and the number of rows."""

_for_many: Final[dict[Callable[..., Any], ForMany]] = {}


def gives_one(default: Callable[[], Any]) -> None:
    """Have a default asked once for all rows of a bulk insert: what it gives doesn't depend on the row."""
    _for_many[default] = lambda _context, _columns, count: [default()] * count


def gives_many(default: Callable[..., Any], many: ForMany) -> None:
    """Have `many` asked in the place of the default, once for all rows of a bulk insert."""
    _for_many[default] = many


def for_many(default: Callable[..., Any]) -> ForMany | None:
    """How a default is asked for many rows; None: for each."""
    return _for_many.get(inspect.unwrap(default))
