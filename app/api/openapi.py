"""The OpenAPI document: FastAPI's, and the problems that each operation may answer with.

They are derived from the operation's parameters and its access rule (`app.api.access`).
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from app.api.access import PREFIX, Access, access_table
from app.api.problems import MEDIA_TYPE, Problem

REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
METHODS: Final = ("get", "post", "put", "patch", "delete")
RATE_LIMITED: Final = frozenset(
    {
        "register",
        "login",
        "refresh",
        "logout",
        "change_password",
        "update_me",
        "update_user",
        "request_verification",
        "verify",
        "recover",
        "confirm_recovery",
        "accept_invitation",
        "create_my_key",
        "export_my_data",
    }
)
"""Operations that answer 429."""
REFUSING: Final = frozenset({"login", "refresh", "verify", "confirm_recovery", "accept_invitation"})
"""Operations that are open to anyone, and refuse credentials in their body by 401."""
CONFLICTING: Final = frozenset({"verify", "invite"})
"""Operations that may answer 409, besides those that change or create accounts."""
NEGOTIATED: Final = frozenset({"export_users", "import_users"})
"""Operations that negotiate the media type by Accept, and may answer 406."""
RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
CHALLENGE: Final = {"WWW-Authenticate": {"schema": {"type": "string"}}}
HEADERS: Final[dict[int, dict[str, Any]]] = {401: CHALLENGE, 429: RETRY_AFTER, 503: RETRY_AFTER}


def document_problems(app: FastAPI) -> None:
    """Extend the application's document by the status and the media type of each operation's problems."""
    draw = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = draw()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)  # ours are problems
            document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            schemas.setdefault("Problem", Problem.model_json_schema(ref_template="#/components/schemas/{model}"))
            for path, item in document["paths"].items():
                for method in METHODS:
                    if method in item:
                        _describe(app, path, method, item[method])
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _describe(app: FastAPI, path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("default", None)  # every status has a line of its own
    listed = access_table(app).find(method.upper(), path)
    access = Access.ADMIN if listed is None else listed.access
    if access is not Access.ANYONE:
        operation["security"] = [{"bearer": []}]
    for status in sorted(set(_statuses(path, method, operation, access))):
        response = responses.setdefault(str(status.value), {"description": status.phrase})
        if str(status.value) == "422":
            response["description"] = status.phrase
            response.pop("content", None)
        content = response.get("content", {})
        schema = content.pop("application/json", {}).get("schema", REFERENCE) if status >= 400 else REFERENCE
        response["content"] = {MEDIA_TYPE: {"schema": schema}}
        if status.value in HEADERS:
            response["headers"] = HEADERS[status.value]


def _statuses(path: str, method: str, operation: dict[str, Any], access: Access) -> Iterator[HTTPStatus]:
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    yield HTTPStatus.INTERNAL_SERVER_ERROR
    yield HTTPStatus.SERVICE_UNAVAILABLE
    yield from (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)  # of the socket
    if not path.startswith(PREFIX):
        return
    yield HTTPStatus.GATEWAY_TIMEOUT
    yield HTTPStatus.BAD_REQUEST  # a header, or a body where none belongs, that can't be read
    if parameters or "requestBody" in operation:
        yield HTTPStatus.UNPROCESSABLE_ENTITY
    if access is not Access.ANYONE or operation.get("operationId") in REFUSING:
        yield HTTPStatus.UNAUTHORIZED
    if access not in {Access.ANYONE, Access.BEARER} or method == "patch" or operation.get("operationId") == "login":
        yield HTTPStatus.FORBIDDEN
    if operation.get("operationId") in CONFLICTING:
        yield HTTPStatus.CONFLICT
    if operation.get("operationId") in NEGOTIATED:
        yield HTTPStatus.NOT_ACCEPTABLE
    if "{" in path:
        yield HTTPStatus.NOT_FOUND
    if "requestBody" in operation:
        yield HTTPStatus.REQUEST_TIMEOUT
        yield from (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if method == "patch" or "idempotency-key" in parameters:
            yield HTTPStatus.CONFLICT
    if "if-match" in parameters:
        yield from (HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)
    if operation.get("operationId") in RATE_LIMITED:
        yield HTTPStatus.TOO_MANY_REQUESTS
