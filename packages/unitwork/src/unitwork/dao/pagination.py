"""Pages: a `Page` counts rows and knows the total; a `Slice` begins after a row.

Rows that come or go while somebody turns slices are neither repeated nor skipped.
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
    """Rows in order, and how many there are on all pages."""

    items: Sequence[T]
    total: int


@dataclass(frozen=True)
class Slice(Generic[T]):
    """Rows in order. `after(next_cursor, …)` gives what follows, `before(previous_cursor, …)` what comes before; None
    where there is nothing. `has_more` tells whether there is more in the direction that was asked for.
    """

    items: Sequence[T]
    next_cursor: str | None
    previous_cursor: str | None
    has_more: bool


@dataclass(frozen=True)
class Position:
    """A row's place in an order. `inclusive` where a page may begin with the row itself: a page of nothing has no
    other row to begin from.
    """

    values: tuple[Any, ...]
    backward: bool
    inclusive: bool

    @property
    def known(self) -> tuple[bool, ...] | None:
        """For each sort value whether there is one; None at an end of the rows."""
        return tuple(value is not None for value in self.values) or None

    def parameters(self) -> dict[str, Any]:
        """The values by the names that a selection has for them."""
        return {f"k{at}": value for at, value in enumerate(self.values) if value is not None}

    @classmethod
    def read(cls, cursors: Cursors, model: type[Any], keys: Order, cursor: str, *, backward: bool) -> Self:
        """Raises `InvalidCursor` when it isn't ours, or is another order's."""
        inclusive, *values = cursors.read(order_name(model, keys), cursor)
        try:
            return cls(tuple(read_values(keys, values)), backward=backward, inclusive=inclusive)
        except (ValueError, LookupError):
            raise InvalidCursor from None

    def turned(self) -> "Position":
        """From the same row the other way, with what this one leaves out."""
        return Position(self.values, not self.backward, not self.inclusive)


ANYWHERE: Final = Position((), backward=False, inclusive=False)
"""Where all rows are."""


def order_name(model: type[Any], keys: Order) -> str:
    """What a cursor is signed for."""
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
    """The slice that `size + 1` rows make, read from this position in its direction."""
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
    """Raises ValueError for a size below 1, and beside limits of the query's own."""
    if size < 1:
        msg = f"{word}(…, {size}): give a size of 1 or more"
        raise ValueError(msg)
    if limit is not None or offset is not None:
        msg = f"{word}() has a size of its own; leave out limit() and offset()"
        raise ValueError(msg)
