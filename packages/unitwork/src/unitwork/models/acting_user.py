"""Who is acting: one context variable, set by each entrypoint and restored when its block ends.

A child task inherits the acting user it was started under; nothing it sets reaches its parent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from unitwork.errors.model import NoActingUser

SYSTEM: Final = 0
"""The acting user where there is no person: commands, workers, migrations. No row has this id."""

_acting_user: ContextVar[int] = ContextVar("acting_user")


@contextmanager
def acting_as(user_id: int) -> Iterator[None]:
    """Every write inside the block has this user as its author."""
    token = _acting_user.set(user_id)
    try:
        yield
    finally:
        _acting_user.reset(token)


def acting_user_id() -> int:
    """The acting user's id. Raises `NoActingUser` outside `acting_as`."""
    user_id = _acting_user.get(None)
    if user_id is None:
        raise NoActingUser
    return user_id
