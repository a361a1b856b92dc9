"""Pages: a `Page` is found by offset and has the total; a `Slice` is found by cursor.

Inserts and deletes between two slices cause neither repeated nor skipped rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

from unitwork.dao.cursor import Cursors
from unitwork.dao.statements.sort_order import Order, read_values, sort_values, written_values
from unitwork.errors.query import InvalidCursor

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows in order, and the number of rows on all pages."""

    items: Sequence[T]
    total: int


@dataclass(frozen=True)
class Slice(Generic[T]):
    """Rows in order, with cursors for the neighbouring slices.

    `after(next_cursor, …)` returns the following rows, `before(previous_cursor, …)` the preceding ones; a cursor is
    None where there are none. `has_more` is True if there are more rows in the direction of the request.
    """

    items: Sequence[T]
    next_cursor: str | None
    previous_cursor: str | None
    has_more: bool


@dataclass(frozen=True)
class Position:
    """A row's place in an order. `inclusive` if a page may begin with the row itself: an empty page has no other row to
    refer to.
    """

    values: tuple[Any, ...]
    backward: bool
    inclusive: bool

    @property
    def known(self) -> tuple[bool, ...] | None:
        """One flag for each sort value, False if it is NULL; None at an end of the rows."""
        return tuple(value is not None for value in self.values) or None

    def parameters(self) -> dict[str, Any]:
        """Return the values by the parameter names of a selection."""
        return {f"k{at}": value for at, value in enumerate(self.values) if value is not None}

    @classmethod
    def read(cls, cursors: Cursors, model: type[Any], keys: Order, cursor: str, *, backward: bool) -> Self:
        """Parse a cursor. Raises `InvalidCursor` for a wrong signature or another list's or order's cursor."""
        inclusive, *values = cursors.read(order_name(model, keys), cursor)
        try:
            return cls(tuple(read_values(keys, values)), backward=backward, inclusive=inclusive)
        except (ValueError, LookupError):
            raise InvalidCursor from None

    def turned(self) -> "Position":
        """Return the position for reading the opposite way from the same row, including the rows this one excludes."""
        return Position(self.values, not self.backward, not self.inclusive)


NO_CURSOR: Final = Position((), backward=False, inclusive=False)
"""No cursor: start at the first row, or backward at the last."""


def order_name(model: type[Any], keys: Order) -> str:
    """Return the name of the list and order for which a cursor is signed."""
    return f"{model.__name__}:{','.join(key.name for key in keys)}"


def sliced(
    rows: Sequence[T],
    size: int,
    position: Position | None,
    *,
    model: type[Any],
    keys: Order,
    cursors: Cursors,
    backward: bool,
) -> Slice[T]:
    """Return the slice made of `size + 1` rows that were read from this position in its direction."""
    name = order_name(model, keys)

    def at(values: Sequence[Any], *, inclusive: bool = False) -> str:
        return cursors.write(name, [inclusive, *written_values(keys, values)])

    more = len(rows) > size
    items = list(rows[:size])
    if backward:
        items.reverse()
    onward = at(sort_values(keys, items[0 if backward else -1])) if more else None
    if position is None:
        behind = None
    elif items:
        behind = at(sort_values(keys, items[-1 if backward else 0]))
    else:
        turned = position.turned()
        behind = at(turned.values, inclusive=turned.inclusive)
    return Slice(items, behind, onward, more) if backward else Slice(items, onward, behind, more)


def check_size(word: str, size: int, limit: int | None, offset: int | None) -> None:
    """Raise ValueError for a size below 1, and if the query has a limit or offset."""
    if size < 1:
        msg = f"{word}(…, {size}): give a size of 1 or more"
        raise ValueError(msg)
    if limit is not None or offset is not None:
        msg = f"{word}() has a size of its own; leave out limit() and offset()"
        raise ValueError(msg)
