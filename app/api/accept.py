"""Accept: content negotiation by quality (RFC 9110, section 12.5.1)."""

import re
from typing import NamedTuple

from starlette.datastructures import Headers

from app.api.errors import NotAcceptable

_RANGE = re.compile(r"\s*([\w!#$&^.+-]+|\*)/([\w!#$&^.+-]+|\*)\s*((?:;.*)?)", re.ASCII)
_QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.ASCII | re.IGNORECASE)
_ANY_QUALITY = re.compile(r";\s*q\s*=", re.ASCII | re.IGNORECASE)


class Wish(NamedTuple):
    """Quality from 0 (not acceptable) to 1, and specificity: 0 for `*/*`, 1 for `text/*`, 2 for the exact type."""

    quality: float
    exactness: int


def wish(headers: Headers, media_type: str) -> Wish:
    """Return a media type's quality, 0 to 1. Without the header all have 1; a part that doesn't parse is ignored."""
    ranges = [
        match for value in headers.getlist("accept") for item in value.split(",") if (match := _RANGE.fullmatch(item))
    ]
    if not ranges:
        return Wish(1.0, 0)
    kind, _, subtype = media_type.partition("/")
    best = Wish(0.0, -1)
    for match in ranges:
        named = (match[1].lower(), match[2].lower())
        if named not in {("*", "*"), (kind, "*"), (kind, subtype)}:
            continue
        quality = _QUALITY.search(match[3])
        if quality is None and _ANY_QUALITY.search(match[3]):
            continue
        exactness = 2 - named.count("*")
        if exactness >= best.exactness:
            best = Wish(1.0 if quality is None else float(quality[1]), exactness)
    return best


def choose(headers: Headers, first: str, *others: str) -> str:
    """Return the type with the highest quality; among equals the most specific one, then a later one that is named
    exactly. Raises `NotAcceptable` when none is acceptable.
    """
    chosen, most = first, wish(headers, first)
    for other in others:
        wanted = wish(headers, other)
        if wanted > most or (wanted == most and wanted.exactness == 2):
            chosen, most = other, wanted
    if not most.quality:
        raise NotAcceptable(" or ".join((first, *others)))
    return chosen


def prefers(headers: Headers, preference: str) -> bool:
    """True when Prefer names the preference (RFC 7240), in upper or lower case, with or without parameters."""
    given = (item for value in headers.getlist("prefer") for item in value.split(","))
    return any(re.split(r"[;=]", item, maxsplit=1)[0].strip().lower() == preference for item in given)
