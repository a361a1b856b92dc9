"""Addresses: HTTP behaviour that all addresses share, independent of their endpoints.

HEAD is answered as GET without the body, OPTIONS with the allowed methods, and a method without a line in the access
table with 405. A body with a Content-Encoding is refused unread.
"""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import HEAD, Address, access_table, forgotten, path_of
from app.api.conditional import answer_conditionally
from app.api.errors import ApiError, MethodNotAllowed
from app.api.media_type import ACCEPT_PATCH, refuse_coded_body
from app.api.problems import FRAMEWORK_ANSWERS, problem, problem_for
from app.api.query_text import with_literal_plus

HEAD_KEY: Final = "head_only"
"""Key in the request's state: True for a HEAD request that is answered as GET."""
ENCODED_SLASH: Final = b"%2f"
"""Servers and proxies disagree whether it separates segments, so no address of ours has one."""


class Addresses:
    """Middleware, inside `Authentication`: a client without access to an address can't learn its methods either."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = scope["method"] == HEAD
        answer = _without_body(send) if head else send
        if ENCODED_SLASH in (scope.get("raw_path") or b"").lower():
            await _nothing_there(scope)(scope, receive, answer)
            return
        address = access_table(scope["app"]).address(path_of(scope))
        try:
            refuse_coded_body(Headers(scope=scope))
            own = None if address is None else _own_answer(address, scope)
            answer = answer_conditionally(scope, answer)
        except ApiError as error:
            await problem_for(error, scope["path"])(scope, receive, answer)
            return
        if own is not None:
            await own(scope, receive, answer)
            return
        scope = {**scope, "query_string": with_literal_plus(scope.get("query_string", b""))}
        if head and address is not None and HEAD not in address.lines:
            scope |= {"method": "GET", "state": {**scope.get("state", {}), HEAD_KEY: True}}
        await self._app(scope, receive, answer)


def _own_answer(address: Address, scope: Scope) -> Response | None:
    """Return the answer to OPTIONS; None where an endpoint answers the method. Raises `MethodNotAllowed`."""
    method = scope["method"]
    if address.find(method) is not None:
        return None
    headers = {"Allow": ", ".join(address.methods)}
    if "PATCH" in address.lines:
        headers["Accept-Patch"] = ACCEPT_PATCH
    if method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    if forgotten(scope["app"], method, path_of(scope)):
        return None
    raise MethodNotAllowed(method, headers)


def _nothing_there(scope: Scope) -> Response:
    code, detail = FRAMEWORK_ANSWERS[HTTPStatus.NOT_FOUND]
    return problem(HTTPStatus.NOT_FOUND, code, detail, scope["path"])


def _without_body(send: Send) -> Send:
    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers
