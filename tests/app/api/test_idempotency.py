"""Idempotency-Key: what is sent again creates nothing again."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from containers import Container
from domain import IdempotencyKey
from services.passwords import Passwords
from settings import Settings
from tests.app.api.conftest import SignIn
from tests.app.api.problem_document import assert_problem
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

KEY = {"Idempotency-Key": "3f0c7f6e"}
PATHS = pytest.mark.parametrize("path", ["/v1/users", "/v1/auth/register"])
ANN = {"email": "ann@example.com", "password": "correct horse"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With time for a hundred requests on a pool of fifteen, however loaded the machine is."""
    patient = settings.database.model_copy(update={"pool_timeout": 60.0})
    return settings.model_copy(update={"database": patient})


async def accounts(container: Container) -> int:
    """Besides the admin."""
    return await container.user_dao().count(include_deleted=True).rows() - 1


@PATHS
async def test_the_same_request_again_gets_the_same_answer(
    client: httpx2.AsyncClient, container: Container, path: str
) -> None:
    first = await client.post(path, json=ANN, headers=KEY)
    again = await client.post(path, json=ANN, headers=KEY)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    for name in ("Location", "ETag"):
        assert first.headers[name] == again.headers[name]
    assert await accounts(container) == 1


@PATHS
async def test_it_is_the_first_answer_whatever_became_of_the_account(
    client: httpx2.AsyncClient, container: Container, path: str
) -> None:
    first = await client.post(path, json=ANN, headers=KEY)
    address = f"/v1/users/{first.json()['id']}"
    await client.patch(address, json={"display_name": "Anna"}, headers={"If-Match": "*"})
    assert (await client.post(path, json=ANN, headers=KEY)).json() == first.json()


@PATHS
async def test_the_same_key_with_another_body_is_refused(
    client: httpx2.AsyncClient, container: Container, path: str
) -> None:
    await client.post(path, json=ANN, headers=KEY)
    for body in (ANN | {"email": "bob@example.com"}, ANN | {"password": "another horse"}):
        assert_problem(await client.post(path, json=body, headers=KEY), 422, "idempotency_key_reused")
    assert await accounts(container) == 1


async def test_how_the_body_is_written_does_not_matter(client: httpx2.AsyncClient) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    first = await client.post("/v1/users", content=b'{"email": "a@example.com", "phone": null}', headers=headers)
    again = await client.post("/v1/users", content=b'{"phone":null,"email":"a@example.com"}', headers=headers)
    assert first.json() == again.json()


async def test_a_key_counts_for_its_user_method_and_path(
    client: httpx2.AsyncClient, sign_in: SignIn, container: Container
) -> None:
    _, other = await sign_in({"email": "other@example.com", "role": "admin"})  # type: ignore[typeddict-item]  # its value
    assert (await client.post("/v1/users", json=ANN, headers=KEY)).status_code == 201
    assert_problem(await client.post("/v1/users", json=ANN, headers=KEY | other), 409, "email_taken")
    assert_problem(await client.post("/v1/auth/register", json=ANN, headers=KEY), 409, "email_taken")


@PATHS
async def test_a_failure_is_not_stored(client: httpx2.AsyncClient, container: Container, path: str) -> None:
    taken = await client.post("/v1/users", json=ANN)
    assert_problem(await client.post(path, json=ANN, headers=KEY), 409, "email_taken")
    address = f"/v1/users/{taken.json()['id']}"
    await client.patch(address, json={"email": "other@example.com"}, headers={"If-Match": "*"})
    assert (await client.post(path, json=ANN, headers=KEY)).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "\x7f"])
async def test_a_key_that_does_not_parse_is_a_bad_request(client: httpx2.AsyncClient, key: str) -> None:
    response = await client.post("/v1/users", json=ANN, headers={"Idempotency-Key": key})
    assert_problem(response, 400, "malformed_header")


async def test_an_answer_is_kept_for_a_day(client: httpx2.AsyncClient, container: Container) -> None:
    first = await client.post("/v1/users", json={"email": "ann@example.com"}, headers=KEY)
    await _age(container, timedelta(hours=23, minutes=59))
    again = await client.post("/v1/users", json={"email": "ann@example.com"}, headers=KEY)
    assert again.json() == first.json()
    await _age(container, timedelta(hours=24))
    late = await client.post("/v1/users", json={"email": "bob@example.com"}, headers=KEY)
    assert late.status_code == 201
    assert late.json()["id"] != first.json()["id"]
    await _age(container, timedelta(hours=25))
    assert await container.retention_service().purge_idempotency_keys() == 1


async def _age(container: Container, age: timedelta) -> None:
    async with container.transaction()() as transaction:
        await transaction.session.execute(update(IdempotencyKey).values(created_at=utc_now() - age))


async def test_no_password_and_no_key_is_stored(client: httpx2.AsyncClient, container: Container) -> None:
    await client.post("/v1/users", json=ANN, headers=KEY)
    (row,) = await container.idempotency_dao().query().all()
    stored = f"{row.scope} {row.request_digest} {row.answer}"
    assert "correct horse" not in stored
    assert KEY["Idempotency-Key"] not in stored


async def test_nothing_is_hashed_for_an_answer_that_is_there(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.post("/v1/users", json=ANN, headers=KEY)
    monkeypatch.setattr(Passwords, "hash", None)
    assert (await client.post("/v1/users", json=ANN, headers=KEY)).status_code == 201


@pytest.mark.database("own")
@PATHS
async def test_of_many_at_once_one_creates_and_all_get_its_answer(
    client: httpx2.AsyncClient, container: Container, path: str, record_property: Any, backend: str
) -> None:
    body = {"email": "ann@example.com"} | ({"password": "correct horse"} if "register" in path else {})
    many = 100 if "register" not in path else 4
    answers = await asyncio.gather(*(client.post(path, json=body, headers=KEY) for _ in range(many)))
    equal = {answer.text for answer in answers}
    record_property(
        "figure",
        f"idempotency ({backend}, {path}): {many} parallel POSTs with one key, {await accounts(container)} account, "
        f"{sum(answer.status_code == 201 for answer in answers)} times 201, {len(equal)} different answer",
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len(equal) == 1
    assert await accounts(container) == 1


@pytest.mark.database("own")
async def test_when_the_first_one_fails_one_of_those_who_waited_does_the_work(
    client: httpx2.AsyncClient, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, failing = type(container.user_service()), asyncio.Event()
    real = service.store

    async def fail_once(self: Any, draft: Any, **options: Any) -> Any:
        stored = await real(self, draft, **options)
        if not failing.is_set():
            failing.set()
            await asyncio.sleep(0.2)
            raise ZeroDivisionError
        return stored

    monkeypatch.setattr(service, "store", fail_once)
    body = {"email": "ann@example.com"}
    answers = await asyncio.gather(
        *(client.post("/v1/users", json=body, headers=KEY) for _ in range(3)), return_exceptions=True
    )
    statuses = sorted(answer.status_code for answer in answers if isinstance(answer, httpx2.Response))
    assert statuses == [201, 201, 500]
    assert await accounts(container) == 1


@pytest.mark.database("own")
@pytest.mark.parametrize("steps", [3, 30, 60, 100, 150])
async def test_one_that_is_cancelled_leaves_both_or_neither(
    client: httpx2.AsyncClient, container: Container, steps: int
) -> None:
    body = {"email": "ann@example.com"}
    task = asyncio.create_task(client.post("/v1/users", json=body, headers=KEY))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await accounts(container) == await container.idempotency_dao().count().rows()
    assert (await client.post("/v1/users", json=body, headers=KEY)).status_code == 201
    assert await accounts(container) == 1
    assert container.engine().pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool


@pytest.mark.database("own")
@pytest.mark.parametrize("body", [{"email": "Ann@Example.com"}, {"phone": "+14155550132"}])
async def test_of_many_that_want_one_address_one_gets_it(
    client: httpx2.AsyncClient, container: Container, body: dict[str, str], record_property: Any, backend: str
) -> None:
    """Twice 50 at once, each in a spelling of its own. None is refused for the wait, however slow the machine is."""
    settings = container.settings()
    container.settings.override(
        settings.model_copy(update={"http": settings.http.model_copy(update={"max_wait": None})})
    )
    for round_ in range(2):
        spelled = [
            {name: value.upper() if number % 2 else value for name, value in body.items()} if "email" in body else body
            for number in range(50)
        ]
        answers = await asyncio.gather(*(client.post("/v1/users", json=one) for one in spelled))
        created = [answer for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} == {201, 409}
        assert len(created) == 1
        record_property("figure", f"uniqueness ({backend}): round {round_ + 1}, 50 parallel, {len(created)} created")
        with_id = created[0].json()["id"]
        deleted = await client.delete(f"/v1/users/{with_id}", headers={"If-Match": "*"})
        assert deleted.status_code == 204
        assert_problem(await client.post("/v1/users", json=body), 409, f"{next(iter(body))}_taken")
        restored = await client.post(f"/v1/users/{with_id}/restore", headers={"If-Match": "*"})
        assert restored.status_code == 200, "a deleted account keeps its address, so restoring it never conflicts"
        await _purge(container, int(with_id))


async def _purge(container: Container, user_id: int) -> None:
    with acting_as(SYSTEM):
        await container.user_dao().purge(user_id)
