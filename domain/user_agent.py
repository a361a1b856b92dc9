"""User agent: the program that a request comes from, as it names itself, in a context variable of the entrypoint.

It is text of a stranger: shown to the account's owner, and never trusted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MAX_LENGTH: Final = 200

_user_agent: ContextVar[str | None] = ContextVar("user_agent", default=None)


@contextmanager
def bound_user_agent(text: str | None) -> Iterator[None]:
    """Bind the header's text for the length of the block, shortened and without what can't be shown; None or text of
    which nothing is left is none.
    """
    shown = "".join(character for character in (text or "")[:MAX_LENGTH] if character.isprintable()).strip()
    token = _user_agent.set(shown or None)
    try:
        yield
    finally:
        _user_agent.reset(token)


def current_user_agent() -> str | None:
    """Return what the program that sent the request calls itself; None outside requests."""
    return _user_agent.get()
