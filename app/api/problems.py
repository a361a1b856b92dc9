"""Problem documents (RFC 9457): the one table that maps errors to HTTP answers.

No answer holds SQL, a value of the request, or a stack.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from app.api.errors import (
    ApiError,
    MalformedHeader,
    MethodNotAllowed,
    NotAcceptable,
    PreconditionRequired,
    UnsupportedMediaType,
    WeakTag,
)
from app.background import BackgroundError
from domain.errors import (
    AddressUnverified,
    AlreadyAccepted,
    ClientGone,
    DomainError,
    EmailTaken,
    FreshLoginNeeded,
    IdempotencyKeyReused,
    LastAdmin,
    LinkRefused,
    LoginRefused,
    NotAllowed,
    NotAuthenticated,
    PhoneTaken,
    RefreshRefused,
    TooBusy,
    TooManyAttempts,
    Unacceptable,
)
from services.csv.errors import CsvError, CsvTooLarge, TooManyCsvRows, UnreadableCsv
from unitwork import undone
from unitwork.errors import (
    CommitOutcomeUnknown,
    ConnectionLost,
    ConstraintViolation,
    ContainerClosed,
    DatabaseError,
    DeadlockDetected,
    EngineNotStarted,
    InvalidCursor,
    LockNotAvailable,
    NotFound,
    NotPrimary,
    Overloaded,
    SchemaOutdated,
    SerializationFailure,
    StaleVersion,
    StatementOutdated,
    StatementTimeout,
    TransactionTimeout,
    Unavailable,
    UnitworkError,
    UnknownColumn,
    UnknownLabel,
)
from unitwork.models import current_request_id
from unitwork.monitor import RepeatedLines

log = logging.getLogger("gatehouse.api")
database_errors: Final = RepeatedLines(log)
"""Lines of database errors that were answered: of one kind, one an interval. An application that ends flushes them."""

MEDIA_TYPE: Final = "application/problem+json"
MAX_ERRORS: Final = 20
"""Maximum number of fields that an answer names."""
MAX_TEXT: Final = 200
"""Maximum number of characters of a field's place, and of its message."""


class FieldError(BaseModel):
    """One unacceptable field: `field` is its place in the request (`body.email`), `code` is stable."""

    field: str
    code: str
    message: str


class Problem(BaseModel):
    """Problem document. `code` is stable; `title` and `detail` are for people."""

    model_config = ConfigDict(json_schema_extra={"title": "Problem"})

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldError] = []
    request_id: str | None = None


TABLE: Final[Sequence[tuple[type[BaseException], HTTPStatus, str]]] = (
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED, "not_authenticated"),
    (FreshLoginNeeded, HTTPStatus.UNAUTHORIZED, "fresh_login_needed"),
    (LoginRefused, HTTPStatus.UNAUTHORIZED, "login_refused"),
    (LinkRefused, HTTPStatus.UNAUTHORIZED, "link_refused"),
    (AddressUnverified, HTTPStatus.FORBIDDEN, "address_unverified"),
    (AlreadyAccepted, HTTPStatus.CONFLICT, "already_accepted"),
    (RefreshRefused, HTTPStatus.UNAUTHORIZED, "refresh_refused"),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS, "too_many_attempts"),
    (TooBusy, HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    (ClientGone, HTTPStatus.BAD_REQUEST, "client_gone"),
    (NotAllowed, HTTPStatus.FORBIDDEN, "not_allowed"),
    (NotFound, HTTPStatus.NOT_FOUND, "not_found"),
    (EmailTaken, HTTPStatus.CONFLICT, "email_taken"),
    (PhoneTaken, HTTPStatus.CONFLICT, "phone_taken"),
    (LastAdmin, HTTPStatus.CONFLICT, "last_admin"),
    (ConstraintViolation, HTTPStatus.CONFLICT, "conflict"),
    (StaleVersion, HTTPStatus.PRECONDITION_FAILED, "stale_version"),
    (WeakTag, HTTPStatus.PRECONDITION_FAILED, "weak_etag"),
    (MethodNotAllowed, HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed"),
    (NotAcceptable, HTTPStatus.NOT_ACCEPTABLE, "not_acceptable"),
    (PreconditionRequired, HTTPStatus.PRECONDITION_REQUIRED, "precondition_required"),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
    (MalformedHeader, HTTPStatus.BAD_REQUEST, "malformed_header"),
    (Unacceptable, HTTPStatus.UNPROCESSABLE_ENTITY, "unacceptable"),
    (IdempotencyKeyReused, HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
    (InvalidCursor, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor"),
    (UnknownColumn, HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_column"),
    (CsvTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content_too_large"),
    (TooManyCsvRows, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_rows"),
    (UnreadableCsv, HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable_csv"),
    (CsvError, HTTPStatus.UNPROCESSABLE_ENTITY, "unusable_csv"),
    (ClientDisconnect, HTTPStatus.BAD_REQUEST, "body_cut_off"),
    (Overloaded, HTTPStatus.SERVICE_UNAVAILABLE, "overloaded"),
    (NotPrimary, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (EngineNotStarted, HTTPStatus.SERVICE_UNAVAILABLE, "not_started"),
    (ContainerClosed, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (BackgroundError, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (SerializationFailure, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (DeadlockDetected, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (LockNotAvailable, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (ConnectionLost, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (StatementOutdated, HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
    (SchemaOutdated, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    (StatementTimeout, HTTPStatus.GATEWAY_TIMEOUT, "timeout"),
    (TransactionTimeout, HTTPStatus.GATEWAY_TIMEOUT, "timeout"),
    (UnknownLabel, HTTPStatus.INTERNAL_SERVER_ERROR, "unreadable_row"),
    (CommitOutcomeUnknown, HTTPStatus.INTERNAL_SERVER_ERROR, "outcome_unknown"),
    (asyncio.CancelledError, HTTPStatus.SERVICE_UNAVAILABLE, "cancelled"),
)
"""Status and code by error class: the first line that matches counts. An error without a line is a bug, and a 500."""

QUIET_DETAIL: Final = {
    HTTPStatus.CONFLICT: "the request conflicts with what is stored",
    HTTPStatus.SERVICE_UNAVAILABLE: "the service can't answer right now; nothing was changed, try again",
    HTTPStatus.INTERNAL_SERVER_ERROR: "the connection was lost while storing: everything was stored, or nothing; look",
    HTTPStatus.GATEWAY_TIMEOUT: "the request took too long and was given up; nothing was changed",
}
"""Details by status that replace the text of a database error."""
QUIET_DETAIL_OF: Final[Mapping[str, str]] = {
    "unreadable_row": "a stored row was written by a newer version of the service, and this one can't read it",
    "not_started": "EngineNotStarted: nothing has opened this application's container. A server runs its lifespan; an "
    "application that mounts it enters `running(container)` itself",
}
"""Details by code, which take precedence over `QUIET_DETAIL`. These errors need an operator, and are logged as such."""
CANCELLED_DETAIL: Final = "the request was cancelled before its answer: everything was stored, or nothing; look"


def problem_for(
    error: BaseException, path: str, *, detail: str | None = None, facts: Mapping[str, Any] | None = None
) -> Response:
    """Return the answer to an error, from the table; `detail` replaces its text, `facts` are extension members."""
    reason = undone(error) or error  # the cause of a TransactionRolledBack, where a block caught it
    for kind, status, code in TABLE:
        if isinstance(reason, kind):
            return _answer(reason, path, status, code, detail, facts)
    log.error("unexpected error", exc_info=error)
    words = "an unexpected error; it was logged under this request id"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", words, path, facts=facts)


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    path: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Response:
    """Return a problem document as a response; `facts` are its extension members."""
    document = Problem(
        type=f"urn:gatehouse:problem:{code}",
        title=status.phrase,
        status=status,
        detail=detail,
        instance=path,
        code=code,
        errors=list(errors),
        request_id=current_request_id(),
    )
    return JSONResponse({**document.model_dump(), **(facts or {})}, status, headers, media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""

    async def known(request: Request, error: Exception) -> Response:
        return problem_for(error, request.url.path)

    for family in (BackgroundError, DomainError, UnitworkError, CsvError, ApiError, ClientDisconnect):
        app.add_exception_handler(family, known)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def _answer(
    error: BaseException,
    path: str,
    status: HTTPStatus,
    code: str,
    given_detail: str | None,
    facts: Mapping[str, Any] | None,
) -> Response:
    detail = str(error)
    headers: dict[str, str] = {}
    errors: list[FieldError] = []
    if isinstance(error, DatabaseError) and not isinstance(error, StaleVersion):
        detail = QUIET_DETAIL_OF.get(code) or QUIET_DETAIL[status]
        kind = type(error).__name__
        level = logging.ERROR if code in QUIET_DETAIL_OF else logging.WARNING
        database_errors.write((kind, getattr(error, "constraint", None)), f"{kind}: {error}", level=level)
    if isinstance(error, ApiError):
        headers.update(error.headers)
    if isinstance(error, asyncio.CancelledError):
        detail = CANCELLED_DETAIL
    if isinstance(error, ClientDisconnect):
        detail = "the body ended early"
    if isinstance(error, Unacceptable):
        detail = "a field is not acceptable"
        errors = [FieldError(field=f"body.{error.field}", code=code, message=error.reason)]
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="gatehouse"'
    if isinstance(error, FreshLoginNeeded):  # RFC 9470
        step_up = f'error="insufficient_user_authentication", max_age="{error.max_age}"'
        headers["WWW-Authenticate"] += f", {step_up}"
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        headers["Retry-After"] = str(round(getattr(error, "retry_after", 1.0)) or 1)
    return problem(status, code, given_detail or detail, path, errors=errors, headers=headers, facts=facts)


async def _invalid_request(request: Request, error: Exception) -> Response:
    items: Sequence[dict[str, Any]] = error.errors() if isinstance(error, RequestValidationError) else ()
    path = request.url.path
    if any(item["type"] == "json_invalid" for item in items):
        return problem(HTTPStatus.BAD_REQUEST, "malformed_json", "the body is not JSON", path)
    # A path parameter that a dependency asks for too is reported by both: once is enough.
    found = dict.fromkeys((item["loc"], item["type"], item["msg"]) for item in items)
    errors = [
        FieldError(
            field=_cut(".".join(map(str, place))), code=code, message=_cut(message.removeprefix("Value error, "))
        )
        for place, code, message in islice(found, MAX_ERRORS)
    ]
    detail = "a field is not acceptable" if len(found) == 1 else f"{len(found)} fields are not acceptable"
    facts = None
    if len(found) > MAX_ERRORS:
        detail += f"; the first {MAX_ERRORS} are named"
        facts = {"error_count": len(found)}
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, path, errors=errors, facts=facts)


def _cut(text: str) -> str:
    """Return the text, shortened, with halves of surrogate pairs escaped: names of a JSON object may hold them."""
    short = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return short.encode("utf-8", "backslashreplace").decode()


FRAMEWORK_ANSWERS: Final = {
    HTTPStatus.BAD_REQUEST: ("malformed_body", "the body can't be read"),
    HTTPStatus.NOT_FOUND: ("no_such_address", "there is nothing at this address"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "this address doesn't answer this method"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("content_too_large", "the body is too large"),
}
"""Code and detail for the errors that the framework raises, by status."""


async def _http_error(request: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    headers = error.headers if isinstance(error, HTTPException) else None
    code, detail = FRAMEWORK_ANSWERS.get(status, (status.name.lower(), status.description or status.phrase))
    return problem(status, code, detail, request.url.path, headers=headers)
