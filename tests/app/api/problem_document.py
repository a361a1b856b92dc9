"""What every error answer must be: RFC 9457 with our members, and nothing that was sent."""

from typing import Any

import httpx2

READINESS = frozenset({"database", "migrations", "pool_in_use", "pool_size"})
"""What a readiness that is red tells besides."""
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "errors", "request_id"}


def assert_problem(
    response: httpx2.Response, status: int, code: str, *, facts: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The answer is a whole problem document with this status and code, and these extension members; gives it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert set(document) == MEMBERS | facts
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:gatehouse:problem:{code}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == response.request.url.path
    assert document["request_id"] == response.headers["x-request-id"]
    for word in ("Traceback", "SELECT", "INSERT", "sqlalchemy", "asyncpg", "sqlite3"):
        assert word not in response.text
    return document


def fields(document: dict[str, Any]) -> list[str]:
    """Where the document says the faults are."""
    return [error["field"] for error in document["errors"]]
