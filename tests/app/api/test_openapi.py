"""The OpenAPI document: a promise, which changes only on purpose."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.api.access import TABLE, Access
from tests.app.api.openapi_document import KEPT, document, written

SECRETS = ("password_hash", "digest", "token_hash", "email_key")


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    return document()


def operations(drawn: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in drawn["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_the_one_that_is_kept(drawn: dict[str, Any]) -> None:
    assert written(drawn) == KEPT.read_text(encoding="utf-8"), (
        "the document has changed; where that is meant: "
        ".venv/bin/python -m tests.app.api.openapi_document > tests/app/api/openapi.json"
    )


def test_every_operation_has_an_id_of_its_own_that_is_its_functions_name(drawn: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(drawn)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


def test_every_refusal_is_a_problem_document(drawn: dict[str, Any]) -> None:
    for name, operation in operations(drawn):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"500", "503"} <= set(refusals), name
        for status, answer in refusals.items():
            assert list(answer["content"]) == ["application/problem+json"], f"{name} {status}"
        assert "default" not in operation["responses"], name


def test_statuses_of_the_contract_are_declared(drawn: dict[str, Any]) -> None:
    declared = {name: set(operation["responses"]) for name, operation in operations(drawn)}
    assert {"412", "428", "400"} <= declared["PATCH /v1/users/{user_id}"]
    assert {"409", "422", "401", "403", "413", "415"} <= declared["POST /v1/users"]
    assert {"409", "429"} <= declared["POST /v1/auth/register"]
    for name, access in TABLE.items():
        if name in declared and access is not Access.ANYONE:
            assert "401" in declared[name], name
        if name in declared and access in {Access.ADMIN, Access.ADMIN_OR_SELF}:
            assert "403" in declared[name], name


def test_who_needs_a_token_is_told(drawn: dict[str, Any]) -> None:
    for name, operation in operations(drawn):
        assert ("security" in operation) is (TABLE[name] is not Access.ANYONE), name


def test_no_schema_has_a_secret(drawn: dict[str, Any]) -> None:
    for name, schema in drawn["components"]["schemas"].items():
        assert not set(schema.get("properties", {})) & set(SECRETS), name
