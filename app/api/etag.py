"""ETag, If-Match and If-None-Match: the version a client has seen (RFC 9110, sections 8.8.3 and 13.1)."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers

from app.api.errors import MalformedHeader, PreconditionRequired, WeakTag
from unitwork.errors import StaleVersion

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_VERSION: Final = re.compile(r'"([1-9][0-9]{0,8})"')
ANY: Final = "*"
WEAK: Final = "W/"


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


class Versioned(Protocol):
    """A model or schema with a version."""

    version: Any


@dataclass(frozen=True)
class EntityTags:
    """Entity tags of a condition header, as written, or `*`."""

    tags: Sequence[str]
    any: bool = False

    def has(self, tag: str) -> bool:
        """True when a tag equals this one by weak comparison, which ignores the prefix `W/`."""
        return self.any or tag.removeprefix(WEAK) in {known.removeprefix(WEAK) for known in self.tags}

    @property
    def versions(self) -> frozenset[int]:
        """Return the versions named by strong tags. Weak tags, and tags that we never issue, name none."""
        return frozenset(int(match[1]) for tag in self.tags if (match := _VERSION.fullmatch(tag)))

    @property
    def weak_versions(self) -> frozenset[int]:
        """Return the versions named by weak tags, which proxies make from ours when they compress answers."""
        weak = EntityTags([tag.removeprefix(WEAK) for tag in self.tags if tag.startswith(WEAK)])
        return weak.versions


def entity_tags(headers: Headers, name: str) -> EntityTags | None:
    """Return the tags of a header, of all its occurrences together; None without it. Raises `MalformedHeader`."""
    given = headers.getlist(name)
    if not given:
        return None
    text = ", ".join(given).strip()
    if text == ANY:
        return EntityTags((), any=True)
    if not _TAGS.fullmatch(text):
        raise MalformedHeader(name, 'ETags in quotes, as "3" or "3", "4", or * alone')
    return EntityTags(re.findall(_TAG, text))


@dataclass(frozen=True)
class Precondition:
    """Condition of a change on the current version: `wanted` from If-Match, `unwanted` from If-None-Match."""

    wanted: EntityTags
    unwanted: EntityTags | None = None

    async def version(self, read: Callable[[], Awaitable[Versioned]]) -> int | None:
        """Return the version that the row must have for the change; None for any. The row is read only when the headers
        don't determine the version; a later change of the row makes the update fail.

        Raises `StaleVersion`, `WeakTag`, and what `read` does.
        """
        versions, weak = self.wanted.versions, self.wanted.weak_versions
        if not self.wanted.any and not versions:
            raise WeakTag if weak else StaleVersion
        if self.unwanted is None:
            if self.wanted.any:
                return None
            if len(versions) == 1 and not weak:
                return next(iter(versions))
        current: int = (await read()).version
        if not self.wanted.any and current not in versions:
            raise WeakTag if current in weak else StaleVersion
        if self.unwanted is not None and self.unwanted.has(etag(current)):
            raise StaleVersion
        return current


async def precondition(
    request: Request,
    if_match: Annotated[  # noqa: ARG001 - it documents the header; the request has all of several, this only the last
        str | None, Header(description='one ETag or several, as `"3"`, or `*` for any')
    ] = None,
) -> Precondition:
    """Parse If-Match, which is required, and If-None-Match. Raises `PreconditionRequired`, `MalformedHeader`."""
    wanted = entity_tags(request.headers, "If-Match")
    if wanted is None:
        raise PreconditionRequired
    return Precondition(wanted, entity_tags(request.headers, "If-None-Match"))


PreconditionDep = Annotated[Precondition, Depends(precondition)]
