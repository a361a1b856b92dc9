"""Locales: the language tag (BCP 47) in which an account is written to."""

import re
from collections.abc import Iterator
from typing import Final

from domain.errors import InvalidText
from domain.text import storable_text

MAX_LENGTH: Final = 35
"""Length that RFC 5646 recommends to provide for."""

_TAG: Final = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?")


def locale_tag(value: str) -> str:
    """Return the tag as RFC 5646 writes it: `de-AT` for `de_at`. Raises `InvalidText` for text that is no language,
    optionally with script and region.
    """
    match = _TAG.fullmatch(storable_text("locale", value, max_length=MAX_LENGTH))
    if match is None or not value.isascii():
        raise InvalidText("locale", "is no language tag; write de, de-AT or zh-Hant-TW")
    language, script, region = match.groups()
    return "-".join(filter(None, (language.lower(), script and script.title(), region and region.upper())))


def languages_of(tag: str | None) -> Iterator[str]:
    """Yield the tag and its shorter forms, most specific first: `zh-Hant-TW`, `zh-Hant`, `zh`."""
    while tag:
        yield tag
        tag = tag.rpartition("-")[0]
