"""What a body of `/v1/auth` may not hold."""

from typing import Any

import httpx2
import pytest

from containers import Container
from domain import Role
from tests.app.api.logins import ADA, PASSWORD
from tests.app.api.problem_document import assert_problem, fields

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


async def test_nobody_registers_as_more_than_a_user(anyone: httpx2.AsyncClient, container: Container) -> None:
    for field, value in (
        ("role", Role.ADMIN), ("status", "active"), ("id", "1"), ("is_admin", True), ("created_by", "1"),
        ("created_at", "2026-01-01T00:00:00Z"), ("updated_by", "1"), ("updated_at", "2026-01-01T00:00:00Z"),
        ("deleted_at", None), ("version", 9), ("password_hash", "x"), ("email_key", "x"),
    ):  # fmt: skip
        problem = assert_problem(
            await anyone.post("/v1/auth/register", json=ADA | {field: value}), 422, "invalid_request"
        )
        assert fields(problem) == [f"body.{field}"]
    assert await container.user_dao().count(include_deleted=True).rows() == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("register", {"email": "a@example.com"}, "body.password"),
        ("register", {"email": "a@example.com", "password": None}, "body.password"),
        ("register", {"email": "a@example.com", "password": "short"}, "body.password"),
        ("register", {"email": "a@example.com", "password": "x" * 1025}, "body.password"),
        ("register", {"email": "a@example.com", "password": "ü" * 513}, "body.password"),
        ("register", {"password": PASSWORD}, "body.email"),
        ("register", {"email": "a\0@example.com", "password": PASSWORD}, "body.email"),
        ("login", {"login": "a@example.com"}, "body.password"),
        ("login", {"login": "", "password": PASSWORD}, "body.login"),
        ("login", {"login": "a\0@example.com", "password": PASSWORD}, "body.login"),
        ("login", {"login": "+1415\0", "password": PASSWORD}, "body.login"),
        ("login", {"login": ["a"], "password": PASSWORD}, "body.login"),
        ("login", {"login": "a@example.com", "password": "x" * 1025}, "body.password"),
        ("login", {"login": "a@example.com", "password": PASSWORD, "remember": True}, "body.remember"),
        ("refresh", {"refresh_token": None}, "body.refresh_token"),
        ("refresh", {"refresh_token": "ghr_" + "x" * 200}, "body.refresh_token"),
        ("refresh", {"refresh_token": "x", "user_id": "1"}, "body.user_id"),
        ("logout", {}, "body.refresh_token"),
    ],
)
async def test_a_body_that_is_not_acceptable_names_its_field(
    anyone: httpx2.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await anyone.post(f"/v1/auth/{path}", json=body)
    problem = assert_problem(answer, 422, answer.json()["code"])
    assert fields(problem) == [field]
    for value in body.values():
        assert not isinstance(value, str) or len(value) < 20 or value not in answer.text


@pytest.mark.parametrize("field", ["login", "password"])
async def test_half_a_surrogate_pair_is_422(anyone: httpx2.AsyncClient, field: str) -> None:
    body = {"login": "a@example.com", "password": PASSWORD} | {field: "canary\ud800"}
    text = "{" + ", ".join(f'"{name}": "{value}"' for name, value in body.items()) + "}"
    answer = await anyone.post(
        "/v1/auth/login",
        content=text.replace("\ud800", "\\ud800"),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert fields(answer.json()) == [f"body.{field}"]
    assert "canary" not in answer.text
