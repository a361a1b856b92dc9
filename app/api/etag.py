"""ETag and If-Match: the version a client has seen."""

import re
from typing import Annotated

from fastapi import Depends, Header

from app.api.errors import MalformedHeader, PreconditionRequired


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
    match = re.fullmatch(r'"([0-9]{1,9})"', if_match.strip())
    if match is None:
        raise MalformedHeader("If-Match", 'one ETag in quotes, as "3", or *')
    return int(match[1])


ExpectedVersionDep = Annotated[int | None, Depends(expected_version)]
