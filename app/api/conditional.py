"""If-None-Match: 304 for a client that has the current answer already (RFC 9110, section 13.1.2)."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

from app.api.etag import EntityTags, entity_tags

OF_THE_BODY: Final = ("content-type", "content-length", "content-disposition", "content-language")
"""Headers that describe the body, which a 304 doesn't have."""


def answer_conditionally(scope: Scope, send: Send) -> Send:
    """Wrap `send`: a 200 to GET or HEAD whose ETag is in If-None-Match becomes a 304 without body, by weak comparison.
    Raises `MalformedHeader`.
    """
    if scope["method"] not in {"GET", "HEAD"}:
        return send
    known = entity_tags(Headers(scope=scope), "If-None-Match")
    return send if known is None else _Conditional(known, send).send


class _Conditional:
    def __init__(self, known: EntityTags, send: Send) -> None:
        self._known = known
        self._send = send
        self._unchanged = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.OK:
            headers = MutableHeaders(scope=message)
            self._unchanged = "etag" in headers and self._known.has(headers["etag"])
            if self._unchanged:
                for name in OF_THE_BODY:
                    del headers[name]
                message = {**message, "status": HTTPStatus.NOT_MODIFIED.value, "headers": headers.raw}
        elif self._unchanged and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)
