"""Comparisons: SQL's operators over stored values. None is NULL and the truth value unknown."""

import operator as plain
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sqlalchemy.sql import operators

from unitwork.testing.fakes.errors import NotFaked

Truth = bool | None
Operator = Callable[[Any, Any, str | None], Any]
"""Computes a comparison from left, right, and the escape character of a LIKE."""
Calculation = Callable[..., Any]
"""Computes an operator that may have more than two operands."""


def _all(parts: Sequence[Truth]) -> Truth:
    return False if any(part is False for part in parts) else None if None in parts else True


def _any(parts: Sequence[Truth]) -> Truth:
    return True if any(part is True for part in parts) else None if None in parts else False


def _not(value: Any) -> Truth:
    return None if value is None else not value


def _comparable(left: Any, right: Any) -> None:
    """Raise `NotFaked` for values of different kinds: some databases convert them, others refuse."""
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return
    same = isinstance(left, type(right)) or isinstance(right, type(left))
    if not same or _kind(left) != _kind(right):
        raise NotFaked(f"comparing {_kind(left)} with {_kind(right)}")


def _kind(value: Any) -> str:
    if isinstance(value, datetime):
        return "a naive datetime" if value.tzinfo is None else "an aware datetime"
    return "text" if isinstance(value, str) else type(value).__name__


def _equal(left: Any, right: Any, _escape: str | None = None) -> Truth:
    if left is None or right is None:
        return None
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _all([_equal(one, other) for one, other in zip(left, right, strict=True)])
    _comparable(left, right)
    return bool(left == right)


def _ordered(order: Callable[[Any, Any], bool]) -> Operator:
    def compare(left: Any, right: Any, _escape: str | None = None) -> Truth:
        if left is None or right is None:
            return None
        if not isinstance(left, tuple):
            _comparable(left, right)
            return order(left, right)
        for one, other in zip(left, right, strict=True):
            equal = _equal(one, other)
            if equal is not True:  # the first pair that differs or is unknown decides
                return compare(one, other)
        return order(0, 0)

    return compare


def _distinct(left: Any, right: Any, _escape: str | None = None) -> bool:
    if left is None or right is None:
        return left is not right
    return _equal(left, right) is not True


def _negated(compare: Operator) -> Operator:
    return lambda left, right, escape: _not(compare(left, right, escape))


def _like(prefix: str, suffix: str) -> Operator:
    def compare(text: Any, pattern: Any, escape: str | None) -> Truth:
        if text is None or pattern is None:
            return None
        if not isinstance(text, str) or not isinstance(pattern, str):
            raise NotFaked(f"LIKE over {type(text).__name__}")
        return _pattern(prefix + pattern + suffix, escape or "\\").fullmatch(text) is not None

    return compare


@cache
def _pattern(like: str, escape: str) -> re.Pattern[str]:
    parts, letters = [], iter(like)
    for letter in letters:
        if letter == escape:
            literal = next(letters, None)
            if literal is None:
                raise NotFaked("LIKE with a pattern that ends in its escape character")
            parts.append(re.escape(literal))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return re.compile("".join(parts), re.DOTALL)


def _calculated(calculate: Callable[[Any, Any], Any]) -> Calculation:
    def combine(left: Any, right: Any, _escape: Any = None) -> Any:
        if left is None or right is None:
            return None
        if isinstance(left, str) != isinstance(right, str):
            raise NotFaked(f"calculating with {type(left).__name__} and {type(right).__name__}")
        return calculate(left, right)

    return combine


def between(value: Any, low: Any, high: Any, *, negated: bool) -> Truth:
    """Return low <= value <= high, or its negation."""
    inside = _all([_ordered(plain.ge)(value, low, None), _ordered(plain.le)(value, high, None)])
    return _not(inside) if negated else inside


def in_(value: Any, values: Iterable[Any], *, negated: bool) -> Truth:
    """Return SQL's IN: false for an empty list; unknown if there is no match and the list contains NULL."""
    found = _any([_equal(value, one) for one in values])
    return _not(found) if negated else found


CALCULATIONS: Final[dict[Any, Calculation]] = {
    operators.add: _calculated(plain.add),
    operators.mul: _calculated(plain.mul),
    operators.sub: _calculated(plain.sub),
    operators.concat_op: _calculated(plain.add),
}
LOGIC: Final[dict[Any, Callable[[Sequence[Truth]], Truth]]] = {operators.and_: _all, operators.or_: _any}
UNARY: Final[dict[Any, Callable[[Any], Any]]] = {
    operators.inv: _not,
    operators.is_false: _not,
    operators.is_true: lambda value: None if value is None else bool(value),
    operators.neg: lambda value: None if value is None else -value,
}
_LIKES: Final[dict[Any, Operator]] = {
    operators.like_op: _like("", ""),
    operators.contains_op: _like("%", "%"),
    operators.startswith_op: _like("", "%"),
    operators.endswith_op: _like("%", ""),
}
COMPARISONS: Final[dict[Any, Operator]] = {
    operators.eq: _equal,
    operators.ne: _negated(_equal),
    operators.lt: _ordered(plain.lt),
    operators.le: _ordered(plain.le),
    operators.gt: _ordered(plain.gt),
    operators.ge: _ordered(plain.ge),
    operators.is_: lambda left, right, _escape: not _distinct(left, right),
    operators.is_not: _distinct,
    operators.is_distinct_from: _distinct,
    operators.is_not_distinct_from: lambda left, right, _escape: not _distinct(left, right),
    **CALCULATIONS,
    **_LIKES,
    operators.not_like_op: _negated(_LIKES[operators.like_op]),
    operators.not_contains_op: _negated(_LIKES[operators.contains_op]),
    operators.not_startswith_op: _negated(_LIKES[operators.startswith_op]),
    operators.not_endswith_op: _negated(_LIKES[operators.endswith_op]),
}
