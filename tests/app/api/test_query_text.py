"""The query as people type it."""

from typing import Any

import httpx2
import pytest

from app.api.query_text import LISTS
from tests.app.api.conftest import Create
from tests.app.api.openapi_document import document
from tests.app.api.problem_document import assert_problem, fields

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.mark.parametrize("typed", ["plus+x@example.com", "plus%2Bx@example.com", "PLUS+X%40example.com"])
async def test_a_plus_in_an_address_is_one_however_it_is_typed(
    client: httpx2.AsyncClient, create: Create, typed: str
) -> None:
    await create(email="plus+x@example.com")
    await create(email="plusx@example.com")
    answer = await client.get(f"/v1/users?limit=1&email={typed}&include_total=true")
    assert [user["email"] for user in answer.json()["items"]] == ["plus+x@example.com"]
    assert answer.json()["total"] == 1


async def test_a_plus_in_a_moment_is_its_offset_and_in_a_name_a_blank(
    client: httpx2.AsyncClient, create: Create
) -> None:
    await create(email="ada@example.com", display_name="Ada Lovelace")
    assert [user["email"] for user in (await client.get("/v1/users?name=ada+love")).json()["items"]] == [
        "ada@example.com"
    ]
    for moment, found in (
        ("2020-01-01T00:00:00+02:00", True),
        ("2020-01-01T00:00:00%2B02:00", True),
        ("2020-01-01T00:00:00+0200", True),
        ("2020-01-01+00:00:00+02:00", True),
        ("2020-01-01+00%3A00%3A00%2B02%3A00", True),
        ("2099-01-01T00:00+14:00", False),
        ("2020-01-01T00%3A00%3A00+02%3A00", True),
    ):
        answer = await client.get(f"/v1/users?name=ada&created_after={moment}")
        assert answer.status_code == 200, answer.text
        assert bool(answer.json()["items"]) is found, moment


async def test_the_next_page_keeps_a_plus(client: httpx2.AsyncClient, create: Create) -> None:
    for number in range(3):
        await create(email=f"u{number}@example.com", display_name="a b")
    first = await client.get("/v1/users?name=a+b&limit=2&created_after=2020-01-01T00:00:00+02:00")
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    assert len((await client.get(link)).json()["items"]) == 1


@sqlite_only
async def test_a_parameter_that_is_given_twice_or_empty_is_refused_by_name(
    client: httpx2.AsyncClient, create: Create
) -> None:
    id_ = (await create(email="ada@example.com"))["id"]
    for query, field in (
        ("email=a@example.com&email=b@example.com", "email"),
        ("limit=1&limit=1", "limit"),
        ("email=", "email"),
        ("phone=", "phone"),
        ("created_after=", "created_after"),
        ("limit=", "limit"),
        ("status=", "status"),
        ("include_deleted=", "include_deleted"),
        ("sort=", "sort"),
        ("name=%CC%81", "name"),
        ("name=+", "name"),
    ):
        problem = assert_problem(await client.get(f"/v1/users?{query}"), 422, "invalid_request")
        assert fields(problem) == [f"query.{field}"], query
    twice = await client.get(f"/v1/users/{id_}?include_deleted=true&include_deleted=false")
    assert fields(assert_problem(twice, 422, "invalid_request")) == ["query.include_deleted"]


def test_every_parameter_that_is_a_list_may_be_given_twice() -> None:
    lists = set()
    for item in document()["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                schema: dict[str, Any] = parameter["schema"]
                kinds = {kind.get("type") for kind in schema.get("anyOf", [schema])}
                if parameter["in"] == "query" and "array" in kinds:
                    lists.add(parameter["name"])
    assert lists == LISTS
