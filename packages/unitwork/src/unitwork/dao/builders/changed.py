"""changed: copy a builder with some fields replaced."""

from typing import Any, TypeVar

T = TypeVar("T")


def changed(builder: T, **values: Any) -> T:
    """Return a copy with these fields replaced, without running `__init__`.

    Like `dataclasses.replace`, for dataclasses without `__post_init__`. Builders are copied at every step, and running
    `__init__` would take most of that time.
    """
    copy = object.__new__(type(builder))
    copy.__dict__.update(builder.__dict__, **values)
    return copy
