"""Media types of bodies: JSON is accepted, a form where it is the rule, and a Content-Encoding nowhere."""

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import Response

from app.api.errors import CodedBody, UnsupportedMediaType
from app.api.json_body import JsonRequest

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MERGE_PATCH: Final = "application/merge-patch+json"
"""Merge patch (RFC 7396): null clears a field, an absent one stays. PATCH treats plain JSON alike."""
ACCEPT_PATCH: Final = f"{MERGE_PATCH}, {JSON}"
CHARSETS: Final = frozenset({"", "utf-8", "utf8", "us-ascii"})
"""JSON is UTF-8 (RFC 8259, section 8.1)."""


class JsonRoute(APIRoute):
    """A route whose body is JSON, parsed strictly (`JsonRequest`). Another media type is refused before the body is
    read as what it isn't.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            json_body_only(request)
            return await handle(JsonRequest(request.scope, request.receive))

        return checked


class FormRoute(APIRoute):
    """A route whose body is a form, as RFC 7662 and its like have it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if has_body(request.headers) and declared(request.headers)[0] != FORM:
                raise UnsupportedMediaType(f"a form, with the header Content-Type: {FORM}", headers={"Accept": FORM})
            return await handle(request)

        return checked


def json_body_only(request: Request) -> None:
    """Raise `UnsupportedMediaType` for a body that isn't declared as JSON (of PATCH: JSON or merge patch)."""
    if not has_body(request.headers) or request.method not in {"POST", "PUT", "PATCH"}:
        return
    patch = request.method == "PATCH"
    media_type, charset = declared(request.headers)
    if charset not in CHARSETS or media_type not in ({JSON, MERGE_PATCH} if patch else {JSON}):
        named = {"Accept-Patch": ACCEPT_PATCH} if patch else {"Accept": JSON}
        raise UnsupportedMediaType(headers=named)


def refuse_coded_body(headers: Headers) -> None:
    """Raise `CodedBody` for a body with a Content-Encoding: its decoded size isn't known before it is read."""
    codings = {coding.strip().lower() for value in headers.getlist("content-encoding") for coding in value.split(",")}
    if codings - {"", "identity"} and has_body(headers):
        raise CodedBody


def has_body(headers: Headers) -> bool:
    """True when the headers declare a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def declared(headers: Headers) -> tuple[str, str]:
    """Return the media type and the charset of Content-Type, in lower case; an empty string for each missing one."""
    if "content-type" not in headers:
        return "", ""
    message = Message()
    message["content-type"] = headers["content-type"]
    charset = message.get_param("charset", "")
    return message.get_content_type(), charset.lower() if isinstance(charset, str) else "unknown"
