"""E-mail addresses: stored as typed, compared by a normalized key."""

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from idna import IDNAError

from domain.errors import InvalidEmail
from domain.invisible import DEFAULT_IGNORABLE, named, visible
from domain.text import storable_text

MAX_LENGTH = 254
KEY_MAX_LENGTH = 2 * MAX_LENGTH
"""NFKC can expand one character to eighteen."""
PRIVATE_DOMAINS: Final = "GATEHOUSE_EMAIL__PRIVATE_DOMAINS"
"""The setting that allows non-public domains."""

_PUBLIC: Final = ".x"
"""Suffix that makes email-validator accept a private domain as a public one: its list of special-use names is
process-wide, and can't be changed for one container.
"""
_ADDRESS: Final = re.compile(r"[^\s,;:|/&<>()\[\]\"]+@[^\s,;:|/&<>()\[\]\"@]+")
_QUOTED: Final = re.compile(r"\s*(?:\b(?:of|in)\s+)?(['\"]).*\1", re.DOTALL)
_SUBJECT: Final = re.compile(r"\A(?:An|The) email address (?=\w+ )")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_EXAMPLE: Final = "write it as name@example.com"


def email_address(value: str, *, private_domains: Collection[str] = ()) -> str:
    """Return the address as typed, stripped. Raises `InvalidEmail`. Sends no DNS query.

    `private_domains` are non-public domains to accept, with their subdomains: `local`, `corp.test`, in lower case, as
    A-labels.
    """
    address = storable_text("email", value, max_length=MAX_LENGTH)
    for character in address:
        if unicodedata.category(character) == "Cf":
            raise InvalidEmail("email", f"holds {named(character)}, which can't be seen; remove it")
    local, _, domain = address.rpartition("@")
    private = bool(private_domains) and _within(a_label(domain), private_domains)
    try:
        validate_email(address + _PUBLIC if private else address, check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmail("email", _reason(address, error)) from None
    if not visible(local):
        raise InvalidEmail("email", f"has nothing that can be seen before its @-sign; {_EXAMPLE}")
    if len(email_key(address)) > KEY_MAX_LENGTH:
        raise InvalidEmail("email", f"is longer than {KEY_MAX_LENGTH} characters once its ligatures are written out")
    return address


def email_key(address: str) -> str:
    """Return the key that all spellings of an address share: the casefolded local part, and the domain's A-label (IDNA
    2008).

    It depends on no setting. Text that isn't a valid address has a key, too, under which nobody can register: it is
    folded as a whole, as all addresses were before migration 0006, so that accounts stored under older rules are still
    found.
    """
    local, at, domain = address.rpartition("@")
    label = a_label(domain) if local else None
    return folded(address) if label is None else f"{folded(local)}{at}{label}"


def folded(text: str) -> str:
    """Apply NFKC, casefold, remove invisible characters, and apply NFKC again, which the other steps can undo."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", DEFAULT_IGNORABLE.sub("", text))


def a_label(domain: str) -> str | None:
    """Return the domain's A-label; None if it has none. An ASCII domain is returned as it is."""
    if domain.isascii():
        return domain.lower()
    if len(domain) > MAX_LENGTH:
        return None
    try:
        return validate_email(f"x@{domain}{_PUBLIC}", check_deliverability=False).ascii_domain.removesuffix(_PUBLIC)
    except EmailNotValidError:
        return None


def _within(label: str | None, domains: Collection[str]) -> bool:
    return label is not None and any(label == domain or label.endswith(f".{domain}") for domain in domains)


def _reason(address: str, error: EmailNotValidError) -> str:
    """Return the reason of the refusal without the user's input: our own where it is clearer than email-validator's."""
    if len(_ADDRESS.findall(address)) > 1:
        return "is more than one e-mail address; give one"
    label = a_label(address.rpartition("@")[2])
    special = next((name for name in SPECIAL_USE_DOMAIN_NAMES if _within(label, [name])), None)
    if special is not None:
        return (
            f"is at .{special}, which is not a public domain; give a public address, or have it allowed with "
            f"{PRIVATE_DOMAINS}={special}"
        )
    text = str(error)
    if isinstance(error.__cause__, IDNAError):  # whose message repeats the input
        text = text.replace(str(error.__cause__), _QUOTED.sub("", str(error.__cause__)))
    text = _SUBJECT.sub("It ", text.rstrip("."))
    if label and _LABEL.fullmatch(label) and "@" in address:
        text += f" (or have a private domain allowed with {PRIVATE_DOMAINS})"
    return f"is not an e-mail address: {text[:1].lower()}{text[1:]}; {_EXAMPLE}"
