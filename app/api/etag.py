"""ETag and If-Match: the version a client has seen."""

import re
from typing import Annotated

from fastapi import Depends, Header

from app.api.errors import MalformedHeader, PreconditionRequired
from database.errors import StaleVersion

_ETAGS = re.compile(r'(?:W/)?"[^"\s]*"(?:\s*,\s*(?:W/)?"[^"\s]*")*')
"""RFC 9110, section 8.8.3."""


def etag(version: int) -> str:
    """The strong validator of a version."""
    return f'"{version}"'


async def expected_version(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """The version If-Match names; None for `*`, which accepts any. Raises `PreconditionRequired` without the
    header, `MalformedHeader` for anything but one strong ETag.
    """
    if if_match is None:
        raise PreconditionRequired
    if if_match.strip() == "*":
        return None
    if not _ETAGS.fullmatch(if_match.strip()):
        raise MalformedHeader("If-Match", 'an ETag in quotes, as "3", or *')
    match = re.fullmatch(r'"([0-9]{1,9})"', if_match.strip())
    if match is None:
        raise StaleVersion  # well-formed, and no version of ours: weak, several, or somebody else's
    return int(match[1])


ExpectedVersionDep = Annotated[int | None, Depends(expected_version)]
