"""Password rules: refuse common passwords, the account's own values, and the current password.

Here: rules about the text. Not here: its length, and hashing (`services.passwords`).
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from domain.errors import InvalidPassword
from domain.search_key import search_key
from domain.user import User
from services.passwords import normalised

COMMON: Final = "common_passwords.txt"


def check_new_password(password: str, *, user: User | None = None, current: str | None = None) -> None:
    """Raise `InvalidPassword` if the password is among the most common, is the account's address, number or name, or
    equals the current one after normalisation.
    """
    new = normalised(password)
    if current is not None and new == normalised(current):
        raise InvalidPassword("password", "is the current password; choose another one")
    folded = new.casefold()
    if folded in _common():
        raise InvalidPassword("password", "is one of the most common passwords; choose another one")
    own = _key(folded)
    if user is not None and own and own in {_key(word) for word in _own(user)}:
        raise InvalidPassword("password", "is the account's own address, number or name; choose another one")


def _own(user: User) -> Iterator[str]:
    """Yield the account's contacts and name in the spellings that are easy to guess."""
    for email in filter(None, (user.email, user.email_key)):
        local, _, domain = email.rpartition("@")
        yield from (email, local, domain, f"{local}{domain}", email[::-1])
    if user.phone is not None:
        yield from (user.phone, user.phone.lstrip("+"), f"00{user.phone.lstrip('+')}")
    if user.display_name is not None:
        yield from (user.display_name, "".join(reversed(user.display_name.split())), user.display_name[::-1])


def _key(text: str) -> str:
    """Return the letters and digits only, without case and accents."""
    return "".join(character for character in search_key(text) or "" if character.isalnum())


@cache
def _common() -> frozenset[str]:
    """Return the most common passwords, read on first use. Source: `common_passwords.LICENSE`."""
    return frozenset(files("services").joinpath(COMMON).read_text(encoding="utf-8").splitlines())
