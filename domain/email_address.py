"""E-mail addresses: stored as typed, compared by key."""

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
"""NFKC can make one character eighteen."""
PRIVATE_DOMAINS: Final = "GATEHOUSE_EMAIL__PRIVATE_DOMAINS"
"""The setting that allows domains of no public network."""

_PUBLIC: Final = ".x"
"""Behind a private domain it makes one that email-validator takes for public: its list of special-use names is the
process's, and can't be changed for one container.
"""
_ADDRESS: Final = re.compile(r"[^\s,;:|/&<>()\[\]\"]+@[^\s,;:|/&<>()\[\]\"@]+")
_QUOTED: Final = re.compile(r"\s*(?:\b(?:of|in)\s+)?(['\"]).*\1", re.DOTALL)
_SUBJECT: Final = re.compile(r"\A(?:An|The) email address (?=\w+ )")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_EXAMPLE: Final = "write it as name@example.com"


def email_address(value: str, *, private_domains: Collection[str] = ()) -> str:
    """The address as typed, without surrounding white space. Raises `InvalidEmail`; asks no name server.

    `private_domains` are domains of no public network that are taken all the same, each with all below it:
    `local`, `corp.test`, in lower case, as A-labels.
    """
    address = storable_text("email", value, max_length=MAX_LENGTH)
    for character in address:
        if unicodedata.category(character) == "Cf":
            raise InvalidEmail("email", f"holds {named(character)}, which can't be seen; remove it")
    local, _, domain = address.rpartition("@")
    private = bool(private_domains) and _within(_a_label(domain), private_domains)
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
    """What makes two spellings one address: the folded part before the @-sign, and the domain's A-label (IDNA 2008).

    It depends on no setting. What is no address has a key too, under which nobody can register: it is folded as a
    whole, as all addresses were before migration 0006, so that an account stored under older rules is still found.
    """
    local, at, domain = address.rpartition("@")
    label = _a_label(domain) if local else None
    return folded(address) if label is None else f"{folded(local)}{at}{label}"


def folded(text: str) -> str:
    """NFKC, casefolded, without what can't be seen, NFKC again (each of the others can undo it)."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", DEFAULT_IGNORABLE.sub("", text))


def _a_label(domain: str) -> str | None:
    """The domain as name servers know it; None when it is none. A domain in ASCII is not judged."""
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
    """email-validator's own, where we know no better, without what was typed."""
    if len(_ADDRESS.findall(address)) > 1:
        return "is more than one e-mail address; give one"
    label = _a_label(address.rpartition("@")[2])
    special = next((name for name in SPECIAL_USE_DOMAIN_NAMES if _within(label, [name])), None)
    if special is not None:
        return (
            f"is at .{special}, which is not a public domain; give a public address, or have it allowed with "
            f"{PRIVATE_DOMAINS}={special}"
        )
    text = str(error)
    if isinstance(error.__cause__, IDNAError):  # which repeats what was typed
        text = text.replace(str(error.__cause__), _QUOTED.sub("", str(error.__cause__)))
    text = _SUBJECT.sub("It ", text.rstrip("."))
    if label and _LABEL.fullmatch(label) and "@" in address:
        text += f" (or have a private domain allowed with {PRIVATE_DOMAINS})"
    return f"is not an e-mail address: {text[:1].lower()}{text[1:]}; {_EXAMPLE}"
