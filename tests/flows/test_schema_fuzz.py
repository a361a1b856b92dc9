"""Requests made up from the OpenAPI document: whatever comes, the answer is one that the document names."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from containers import Container
from tests.flows.server import json_of, serving, until_listening

SEED: Final = 20250101
EXAMPLES: Final = int(os.environ.get("GATEHOUSE_TEST_FUZZ_EXAMPLES", "6"))
"""Requests for each operation and kind; `make storm` makes more."""
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LAST: Final = "logout_all"
"""Ends the token that asks."""


@pytest.fixture
def address(container: Container, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A server over the test's database, an admin's token, and the id of an account."""
    url = container.settings().database.url.render_as_string(hide_password=False)
    variables = {
        "DATABASE_URL": url,
        "GATEHOUSE_VAR_DIR": str(tmp_path),
        "GATEHOUSE_PASSWORDS__TIME_COST": "1",
        "GATEHOUSE_PASSWORDS__MEMORY_COST": "64",
        "GATEHOUSE_LOG_LEVEL": "WARNING",
    }
    admin = json_of("users", "create", "--email", "root@example.com", "--role", "admin", **variables)
    other = json_of("users", "create", "--email", "other@example.com", **variables)
    token = json_of("tokens", "issue", str(admin["id"]), **variables)
    with serving(tmp_path, **variables) as server:
        until_listening(server)
        yield server, str(token["access_token"]), str(other["id"])


def test_every_answer_is_one_that_the_document_names(
    address: tuple[str, str, str], record_property: Any, backend: str
) -> None:
    server, token, known = address
    schema = schemathesis.openapi.from_url(f"{server}/openapi.json")
    operations: list[Any] = [cast("Any", found).ok() for found in schema.get_all_operations()]
    operations.sort(key=lambda operation: operation.definition.raw["operationId"] == LAST)
    answered: dict[int, int] = {}
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _fuzz(operation, mode, token, known, answered)
    total = sum(answered.values())
    record_property(
        "figure",
        f"schema fuzzing ({backend}): seed {SEED}, {len(operations)} operations, {total} requests, "
        f"{sum(count for status, count in answered.items() if status >= 500)} answers 5xx, 0 schema violations; "
        f"{dict(sorted(answered.items()))}",
    )
    assert total >= len(operations) * EXAMPLES
    assert not [status for status in answered if status >= 500]
    ready = schemathesis.openapi.from_url(f"{server}/openapi.json")["/health/ready"]["GET"].Case().call()
    assert json.loads(ready.content)["pool_in_use"] == 0


def _fuzz(operation: Any, mode: GenerationMode, token: str, known: str, answered: dict[int, int]) -> None:
    strategy = operation.as_strategy(generation_mode=mode)
    number = 0

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def send(case: Case[Any]) -> None:
        nonlocal number
        number += 1
        if number % 2 and "user_id" in case.path_parameters:
            case.path_parameters["user_id"] = known
            case.headers["If-Match"] = "*"
        response = case.call(headers={"Authorization": f"Bearer {token}"}, timeout=20)
        answered[response.status_code] = answered.get(response.status_code, 0) + 1
        case.validate_response(response, checks=CHECKS)

    try:
        send()
    except Exception as error:
        if type(error).__name__ in {"Unsatisfiable", "SkipTest", "Skipped"}:
            return
        raise
