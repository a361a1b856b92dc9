"""Refusals: problem documents that the server sends itself, to what never becomes a request of the application.

Their form is that of `app.api.problems`, which no server may import.
"""

import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from unitwork.models import bound_request_id

log = logging.getLogger("gatehouse.access")

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32_768
"""Bytes of all names and values of headers that a request of the application may have."""
MAX_HEAD_BYTES: Final = 65_536
"""Bytes of request line and headers at which the server stops reading; more than `MAX_HEADER_BYTES` and
`MAX_TARGET_BYTES` together, so that the application answers what is little beyond.
"""
MAX_TARGET_BYTES: Final = 8192
"""Bytes of a request's target; RFC 9112 recommends at least 8000 for its line."""
MAX_INSTANCE_BYTES: Final = 1024
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    # Answers hold accounts and tokens.
    "Cache-Control": "no-store",
}
"""Headers for browsers that every answer carries."""

Header = tuple[bytes, bytes]


class Refusal(NamedTuple):
    """One kind of refusal. `code` is stable, `detail` is for people."""

    status: HTTPStatus
    code: str
    detail: str

    def message(self, target: bytes) -> tuple[list[Header], bytes]:
        """Return headers and body of the answer, and log it. `target` is the request's as far as it is known."""
        request_id = uuid.uuid4().hex
        path = target.partition(b"?")[0] if len(target) <= MAX_INSTANCE_BYTES else b""
        document = {
            "type": f"urn:gatehouse:problem:{self.code}",
            "title": self.status.phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": path.decode("latin-1"),
            "code": self.code,
            "errors": [],
            "request_id": request_id,
        }
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "X-Request-ID": request_id,
            **SECURITY_HEADERS,
        }
        if self.status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "1"
        with bound_request_id(request_id):
            log.info("refused: %d %s", self.status, self.code)
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()], body

    def encoded(self, target: bytes, default_headers: Iterable[Header]) -> bytes:
        """Return the whole answer."""
        headers, body = self.message(target)
        head = [f"HTTP/1.1 {self.status.value} {self.status.phrase}".encode()]
        head += [name + b": " + value for name, value in (*default_headers, *headers)]
        return b"\r\n".join((*head, b"", body))


def _malformed(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", detail)


MALFORMED: Final = _malformed("the request can't be read as HTTP/1.1")
NO_HOST: Final = _malformed("a request of HTTP/1.1 has exactly one Host header, which names a host")
UNKNOWN_VERSION: Final = _malformed("the versions spoken here are HTTP/1.1 and HTTP/1.0")
UNKNOWN_CODING: Final = _malformed("the one Transfer-Encoding known here is chunked, of HTTP/1.1")
BODY_BEHIND_UPGRADE: Final = _malformed("a request with a body can't ask for another protocol")
FRAMING: Final = _malformed("the body has more framing than content")
TARGET_TOO_LONG: Final = Refusal(
    HTTPStatus.REQUEST_URI_TOO_LONG, "target_too_long", f"an address has at most {MAX_TARGET_BYTES} bytes"
)
HEADERS_TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    f"send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together",
)
HEAD_TIMEOUT: Final = Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "the request's headers took too long")
BODY_TIMEOUT: Final = Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "the request's body took too long")
TOO_MANY_BODIES: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "too many bodies were begun and not ended; nothing was changed"
)
TOO_MANY_REQUESTS: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "unavailable",
    "too many requests are being answered; nothing was changed, try again",
)


async def too_many_requests(scope: Any, _receive: Any, send: Any) -> None:
    """Answer 503, as the ASGI application of a request beyond `limit_concurrency`."""
    headers, body = TOO_MANY_REQUESTS.message(scope["raw_path"])
    await send({"type": "http.response.start", "status": TOO_MANY_REQUESTS.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
