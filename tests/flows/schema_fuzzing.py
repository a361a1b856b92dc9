"""Requests made up from a server's OpenAPI document, each answer held against it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from containers import Container, running
from domain import Role
from settings import Settings
from tests.flows.server import serving, until_listening
from unitwork.models import SYSTEM, acting_as

SEED: Final = 20250101
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LAST: Final = ("logout_all", "logout")
"""Each ends the token that asks; so the second one, which is for anyone, is asked by one that counts no more."""
OTHER: Final = "other@example.com"
PASSWORD: Final = "correct horse battery"
BY_PASSWORD: Final = {"login", "refresh", "change_password", "verify", "confirm_recovery", "accept_invitation"}
"""Operations that refuse a made-up password, refresh token or mailed secret, whatever token asks."""


class Target(NamedTuple):
    """A server, an admin's token, and the id of another account."""

    address: str
    token: str
    known: str


async def _prepared(url: str) -> tuple[str, str]:
    async with running(Container(settings=Settings(database={"url": url}))) as container:
        with acting_as(SYSTEM):
            admin = await container.user_service().create({"email": "root@example.com", "role": Role.ADMIN})
            other = await container.user_service().create({"email": OTHER}, password=PASSWORD)
            return (await container.auth_service().issue(admin.id))[1], str(other.id)


@contextmanager
def target(url: str, folder: Path) -> Iterator[Target]:
    """A server over this database. It must end cleanly."""
    token, known = asyncio.run(_prepared(url))
    off = ("login_account", "login_address", "register_account", "register_address", "refresh_account")
    variables = {
        "DATABASE_URL": url,
        "GATEHOUSE_VAR_DIR": str(folder),
        "GATEHOUSE_PASSWORDS__TIME_COST": "1",
        "GATEHOUSE_PASSWORDS__MEMORY_COST": "64",
        "GATEHOUSE_LOG_LEVEL": "WARNING",
        **{f"GATEHOUSE_RATE_LIMITS__{rate.upper()}": "off" for rate in (*off, "refresh_address")},
    }
    with serving(folder, **variables) as address:
        until_listening(address)
        yield Target(address, token, known)


def fuzzed(target: Target, examples: int) -> str:
    """Send `examples` requests of each operation that fit the document, and as many that don't. What came of it."""
    schema = schemathesis.openapi.from_url(f"{target.address}/openapi.json")
    operations: list[Any] = [cast("Any", found).ok() for found in schema.get_all_operations()]
    operations.sort(key=_place)
    names = {operation.definition.raw["operationId"] for operation in operations}
    answered: Counter[tuple[str, int, bool]] = Counter()
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _fuzz(operation, mode, target, answered, examples)
    statuses: Counter[int] = Counter()
    for (_, status, _), count in answered.items():
        statuses[status] += count
    assert {name for name, _, _ in answered} == names, "each operation was asked"
    assert statuses.total() >= len(operations) * examples
    assert not [status for status in statuses if status >= 500]
    unheard = {name for name, status, sent in answered if status == 401 and sent}
    assert unheard <= {*LAST, *BY_PASSWORD}, "the admin's token counts"
    succeeded = {name for name, status, _ in answered if status < 300}
    ready = schemathesis.openapi.from_url(f"{target.address}/openapi.json")["/health/ready"]["GET"].Case().call()
    assert json.loads(ready.content)["pool_in_use"] == 0
    return (
        f"seed {SEED}, {len(operations)} operations, {statuses.total()} requests, 0 answers 5xx, "
        f"0 schema violations, 0 connections in use; succeeded at least once: {len(succeeded)}, "
        f"never {sorted(names - succeeded)}; {dict(sorted(statuses.items()))}"
    )


def _place(operation: Any) -> int:
    name = operation.definition.raw["operationId"]
    return LAST.index(name) if name in LAST else -1


def _fuzz(
    operation: Any, mode: GenerationMode, target: Target, answered: Counter[tuple[str, int, bool]], examples: int
) -> None:
    name = operation.definition.raw["operationId"]
    number = 0

    @seed(SEED)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case[Any]) -> None:
        nonlocal number
        number += 1
        if number % 2:
            _aim(case, name, mode, target, number)
        response = case.call(headers={"Authorization": f"Bearer {target.token}"}, timeout=20)
        sent = "Authorization" in response.request.headers
        answered[name, response.status_code, sent] += 1
        case.validate_response(response, checks=CHECKS)

    try:
        send()
    except Unsatisfiable:
        # Nothing that breaks the document of an operation without parameters.
        assert mode is GenerationMode.NEGATIVE, name


def _aim(case: Case[Any], name: str, mode: GenerationMode, target: Target, number: int) -> None:
    """Have a request get past what chance alone doesn't: an account that is there, a version, a contact."""
    if "user_id" in case.path_parameters:
        case.path_parameters["user_id"] = target.known
    if case.method.upper() in {"PATCH", "DELETE"} or name == "restore_user":
        case.headers["If-Match"] = "*"
    if mode is GenerationMode.NEGATIVE:
        return
    if name in {"register", "create_user"}:
        case.headers.pop("Idempotency-Key", None)
        case.body = {"email": f"{name}-{number}@example.com", "password": PASSWORD}
    elif name == "login":
        case.body = {"login": OTHER, "password": PASSWORD}
    elif name == "import_users":
        case.headers.pop("Prefer", None)
        case.query.clear()
        case.body, case.media_type = f"email\nrow-{number}@example.com\n".encode(), "text/csv"
