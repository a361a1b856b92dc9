"""If-Match: a change names the version it was made for."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem

CHANGES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "", {"display_name": "changed"}),
    ("DELETE", "", None),
    ("POST", "/restore", None),
]
each_change = pytest.mark.parametrize(("method", "suffix", "body"), CHANGES, ids=["patch", "delete", "restore"])


@each_change
async def test_a_change_without_if_match_is_428_and_changes_nothing(
    client: httpx2.AsyncClient, create: Create, method: str, suffix: str, body: Any
) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    assert_problem(await client.request(method, path + suffix, json=body), 428, "precondition_required")
    assert (await client.get(path)).json() == user


@each_change
async def test_a_change_of_another_version_is_412_and_changes_nothing(
    client: httpx2.AsyncClient, create: Create, method: str, suffix: str, body: Any
) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    response = await client.request(method, path + suffix, json=body, headers={"If-Match": '"7"'})
    assert_problem(response, 412, "stale_version")
    assert (await client.get(path)).json() == user


@each_change
async def test_a_star_accepts_any_version(
    client: httpx2.AsyncClient, create: Create, method: str, suffix: str, body: Any
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    response = await client.request(method, path + suffix, json=body, headers={"If-Match": "*"})
    assert response.is_success


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ['"one"', '"01"', '"2", "3"', '"-1"', '"99999999999999999999"', 'W/"one"'])
async def test_an_etag_that_can_not_be_ours_matches_nothing(
    client: httpx2.AsyncClient, create: Create, value: str
) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(f"/v1/users/{user['id']}", json={}, headers={"If-Match": value})
    assert_problem(response, 412, "stale_version")


@pytest.mark.parametrize("changes", [20])
async def test_a_star_wins_against_everybody_who_changes_it_at_the_same_time(
    client: httpx2.AsyncClient, create: Create, changes: int
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    responses = await asyncio.gather(
        *(client.patch(path, json={"display_name": f"{n}"}, headers={"If-Match": "*"}) for n in range(changes))
    )
    assert [response.status_code for response in responses] == [200] * changes
    assert (await client.get(path)).json()["version"] == 1 + changes


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["1", '"', "", '"1'])
async def test_an_if_match_that_is_no_etag_is_400(client: httpx2.AsyncClient, create: Create, value: str) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(f"/v1/users/{user['id']}", json={}, headers={"If-Match": value})
    problem = assert_problem(response, 400, "malformed_header")
    assert "If-Match" in problem["detail"]


async def test_of_two_changes_of_one_version_the_second_loses(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    first = await client.patch(path, json={"display_name": "first"}, headers={"If-Match": '"1"'})
    second = await client.patch(path, json={"display_name": "second"}, headers={"If-Match": '"1"'})
    assert first.status_code == 200
    assert_problem(second, 412, "stale_version")
    assert (await client.get(path)).json()["display_name"] == "first"
