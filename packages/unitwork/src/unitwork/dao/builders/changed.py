"""changed: a builder with some of its fields changed."""

from typing import Any, TypeVar

T = TypeVar("T")


def changed(builder: T, **values: Any) -> T:
    """A copy. As `dataclasses.replace`, for dataclasses that do nothing when they are made, and without running their
    `__init__` again, which a builder that is copied at every step spends most of its time in.
    """
    copy = object.__new__(type(builder))
    copy.__dict__.update(builder.__dict__, **values)
    return copy
