"""Key: a long-lived token for programs, with a name, scopes and a checksum. It is stored as a `Token` is.

A personal key is made by the account's owner and ends with its logins, when these are all ended. A service key is made
by an admin, for a program, and ends by itself or by being revoked.
"""

import secrets
import string
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from domain.errors import InvalidText
from domain.text import storable_text

NAME_LENGTH: Final = 100
CHECKSUM_LENGTH: Final = 6
RANDOM_LENGTH: Final = 43
"""Characters of base64url that hold 256 bits."""
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Expiry of a key that doesn't expire."""

_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class Scope(StrEnum):
    """Right of a key. It narrows what its account may do, and never widens it."""

    ACCOUNT_READ = "account:read"
    """Reads the key's own account."""
    ACCOUNT_WRITE = "account:write"
    """Changes the key's own account, but for its e-mail address, phone number and password."""
    USERS_READ = "users:read"
    """Reads accounts, as an admin."""
    USERS_WRITE = "users:write"
    """Creates, changes, deletes and imports accounts, as an admin."""
    AUDIT_READ = "audit:read"
    """Reads the audit trail, as an admin."""
    MONITOR_READ = "monitor:read"
    """Reads metrics and the monitor, as an admin."""
    INTROSPECT = "introspect"
    """Asks whether tokens of others are valid (RFC 7662)."""


def key_name(value: str) -> str:
    """Return the name of a key, stripped. Raises `InvalidText`."""
    return storable_text("name", value, max_length=NAME_LENGTH)


def scopes_text(scopes: Iterable[str]) -> str:
    """Return the scopes as RFC 6749 writes them, in the order of `Scope`. Raises `InvalidText` for none or an unknown
    one.
    """
    given = set(scopes)
    unknown = given - set(Scope)
    if unknown or not given:
        raise InvalidText("scopes", f"are one or more of: {', '.join(Scope)}")
    return " ".join(scope for scope in Scope if scope in given)


def new_key(prefix: str) -> str:
    """Return a new secret: the prefix, 256 random bits, and their checksum."""
    body = prefix + secrets.token_urlsafe(32)
    return body + _checksum(body)


def is_key(text: str, prefix: str) -> bool:
    """True if the text is a key with this prefix whose checksum is right: a mistyped one costs no query."""
    if not text.startswith(prefix) or len(text) != len(prefix) + RANDOM_LENGTH + CHECKSUM_LENGTH or not text.isascii():
        return False
    return text[-CHECKSUM_LENGTH:] == _checksum(text[:-CHECKSUM_LENGTH])


def _checksum(body: str) -> str:
    """Return the CRC-32 in base 62, as scanners of secrets compute it."""
    rest, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
