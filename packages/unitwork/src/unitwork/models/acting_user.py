"""Acting user: a context variable that each entrypoint sets and that is restored when its block ends.

A child task inherits the acting user of its parent; a value set in the child doesn't reach the parent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from unitwork.errors.model import NoActingUser

SYSTEM: Final = 0
"""The acting user of work without a person: commands, workers, migrations. No row has this id."""

_acting_user: ContextVar[int] = ContextVar("acting_user")


@contextmanager
def acting_as(user_id: int) -> Iterator[None]:
    """Set the acting user inside the block: writes are stamped with this id."""
    token = _acting_user.set(user_id)
    try:
        yield
    finally:
        _acting_user.reset(token)


def acting_user_id() -> int:
    """Return the acting user's id. Raises `NoActingUser` outside `acting_as`."""
    user_id = _acting_user.get(None)
    if user_id is None:
        raise NoActingUser
    return user_id
