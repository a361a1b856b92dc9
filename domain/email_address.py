"""E-mail addresses: stored as typed, compared by key."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from domain.errors import InvalidEmail
from domain.text import storable_text

MAX_LENGTH = 254
KEY_MAX_LENGTH = 2 * MAX_LENGTH
"""NFKC can make one character eighteen."""


def email_address(value: str) -> str:
    """The address as typed, without surrounding white space. Raises `InvalidEmail`; asks no name server."""
    address = storable_text("email", value, max_length=MAX_LENGTH)
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise InvalidEmail("email", "is not an e-mail address; write it as name@example.com") from None
    if len(email_key(address)) > KEY_MAX_LENGTH:
        raise InvalidEmail("email", f"is longer than {KEY_MAX_LENGTH} characters once its ligatures are written out")
    return address


def email_key(address: str) -> str:
    """What makes two spellings one address: NFKC, casefolded, NFKC again (casefolding can undo it)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", address).casefold())
