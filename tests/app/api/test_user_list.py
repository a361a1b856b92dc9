"""`GET /v1/users`: filters, orders and pages."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from app.api.user_schemas import UserSort
from containers import Container, running
from domain import User
from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem, fields
from unitwork.models import SYSTEM, acting_as


async def names(client: httpx2.AsyncClient, query: str = "") -> list[str | None]:
    response = await client.get(f"/v1/users?sort=id&{query}")
    assert response.status_code == 200, response.text
    return [item["display_name"] for item in response.json()["items"]]


async def twelve(container: Container) -> None:
    """Twelve accounts besides the admin, some without a name, two with the same."""
    with acting_as(SYSTEM):
        await container.user_dao().add_many(
            [
                User.create(
                    {
                        "email": f"user{number:02}@example.com",
                        "display_name": None if number % 5 == 0 else f"name {number // 2}",
                    }
                )
                for number in range(12)
            ]
        )


async def test_the_link_header_leads_once_through_every_account_in_every_order(
    client: httpx2.AsyncClient, container: Container
) -> None:
    await twelve(container)
    for sort in UserSort:
        await walk(client, sort)


async def walk(client: httpx2.AsyncClient, sort: UserSort) -> None:
    whole = (await client.get(f"/v1/users?sort={sort}&limit=100")).json()["items"]
    assert len(whole) == 13

    walked: list[dict[str, Any]] = []
    path: str | None = f"/v1/users?sort={sort}&limit=4"
    pages = 0
    while path is not None:
        response = await client.get(path)
        body = response.json()
        walked += body["items"]
        pages += 1
        assert body["has_more"] is (body["next_cursor"] is not None) is ("link" in response.headers)
        assert "total" not in body
        path = None
        if "link" in response.headers:
            path, _, relation = response.headers["link"].partition(">")
            path = path.removeprefix("<")
            assert relation == '; rel="next"'
            assert f"cursor={quote(body['next_cursor'], safe='')}" in path

    assert pages == 4
    assert walked == whole
    column = sort.removeprefix("-")
    present = [item[column] for item in whole if item[column] is not None]
    if column != "id":
        assert present == sorted(present, reverse=sort.startswith("-"))
    assert [item[column] for item in whole][len(present) :] == [None] * (13 - len(present))


async def test_rows_that_arrive_meanwhile_are_neither_repeated_nor_skipped(
    client: httpx2.AsyncClient, container: Container, create: Create
) -> None:
    await twelve(container)
    first = (await client.get("/v1/users?sort=-created_at&limit=6")).json()
    await create(email="late@example.com")
    second = (await client.get(f"/v1/users?sort=-created_at&limit=100&cursor={first['next_cursor']}")).json()
    seen = [item["id"] for item in first["items"] + second["items"]]
    assert len(seen) == len(set(seen)) == 13


@pytest.mark.parametrize("spelling", ["ada@example.com", "ADA@EXAMPLE.COM", "ａｄａ@example.com"])
async def test_an_address_is_found_in_every_spelling(client: httpx2.AsyncClient, create: Create, spelling: str) -> None:
    await create(email="Ada@example.com", display_name="Ada")
    await create(email="ada2@example.com", display_name="other")
    assert await names(client, f"email={quote(spelling)}") == ["Ada"]


@pytest.mark.parametrize("spelling", ["%2B14155550132", "+14155550132", "%2B1%20415%20555-0132"])
async def test_a_number_is_found_in_every_spelling(client: httpx2.AsyncClient, create: Create, spelling: str) -> None:
    await create(phone="+14155550132", display_name="Ada")
    await create(phone="+14155550133", display_name="other")
    assert await names(client, f"phone={spelling}") == ["Ada"]


async def test_wildcards_in_a_name_stand_for_themselves(client: httpx2.AsyncClient, create: Create) -> None:
    stored = ["100%", "snake_case", "back\\slash", "plain"]
    for number, name in enumerate(stored):
        await create(email=f"u{number}@example.com", display_name=name)
    for text, found in [("%", ["100%"]), ("_", ["snake_case"]), ("\\", ["back\\slash"]), ("0%", ["100%"])]:
        assert await names(client, f"name={quote(text)}") == found
    assert await names(client, "name=a") == ["snake_case", "back\\slash", "plain"]


async def test_filters_hold_together(client: httpx2.AsyncClient, create: Create) -> None:
    await create(email="a@example.com", display_name="same")
    suspended = await create(email="b@example.com", display_name="same", status="suspended")
    assert await names(client, "status=suspended") == ["same"]
    assert await names(client, "status=suspended&name=same&email=a@example.com") == []
    assert len(await names(client, "name=same")) == 2
    later = datetime.fromisoformat(suspended["created_at"]) - timedelta(microseconds=1)
    body = (await client.get("/v1/users", params={"created_after": later.isoformat()})).json()
    assert [item["id"] for item in body["items"]] == [suspended["id"]]
    assert await names(client, f"created_after={quote(suspended['created_at'])}") == []


async def test_deleted_accounts_are_listed_only_when_asked_for(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="a@example.com", display_name="gone")
    await client.delete(f"/v1/users/{user['id']}", headers={"If-Match": "*"})
    assert "gone" not in await names(client)
    assert "gone" in await names(client, "include_deleted=true")


async def test_the_total_counts_what_matches_on_every_page(client: httpx2.AsyncClient, container: Container) -> None:
    await twelve(container)
    body = (await client.get("/v1/users?limit=2&include_total=true&name=name")).json()
    assert (body["total"], len(body["items"]), body["has_more"]) == (9, 2, True)
    assert (await client.get("/v1/users?include_total=true&name=nobody")).json()["total"] == 0


UNACCEPTABLE = [
    ("limit=0", "query.limit"),
    ("limit=101", "query.limit"),
    ("limit=-1", "query.limit"),
    ("limit=9223372036854775808", "query.limit"),
    ("limit=ten", "query.limit"),
    ("sort=password_hash", "query.sort"),
    ("sort=phone", "query.sort"),
    ("sort=created_at;DROP", "query.sort"),
    ("status=gone", "query.status"),
    ("phone=12", "query.phone"),
    ("created_after=yesterday", "query.created_after"),
    ("created_after=2026-01-01T00:00:00", "query.created_after"),
    ("created_after=9999-12-31T23:59:59-14:00", "query.created_after"),
    ("name=a%00b", "query.name"),
    ("email=a%00b", "query.email"),
    ("name=", "query.name"),
    ("name=" + "x" * 255, "query.name"),
    ("cursor=" + "x" * 4097, "query.cursor"),
    ("nmae=typo", "query.nmae"),
    ("include_total=perhaps", "query.include_total"),
]


async def test_a_query_that_is_not_acceptable_names_its_field(client: httpx2.AsyncClient) -> None:
    for query, field in UNACCEPTABLE:
        problem = assert_problem(await client.get(f"/v1/users?{query}"), 422, "invalid_request")
        assert fields(problem) == [field], query


async def test_a_cursor_that_is_not_of_this_list_is_refused(client: httpx2.AsyncClient, container: Container) -> None:
    await twelve(container)
    cursor = (await client.get("/v1/users?sort=email&limit=2")).json()["next_cursor"]
    middle = len(cursor) // 2
    tampered = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    for sort, wrong in [
        ("email", tampered),
        ("email", cursor[:-4]),
        ("email", "x"),
        ("email", "é"),
        ("email", "a" * 4096),
        ("-email", cursor),
        ("created_at", cursor),
    ]:
        response = await client.get(f"/v1/users?sort={sort}&cursor={quote(wrong)}")
        assert_problem(response, 422, "invalid_cursor")
    assert (await client.get(f"/v1/users?sort=email&cursor={cursor}")).status_code == 200


@pytest.mark.database("own")
async def test_a_cursor_holds_in_another_process_of_the_same_key(
    client: httpx2.AsyncClient, container: Container
) -> None:
    """Two servers behind one address must take each other's cursors: the key comes from the settings."""
    await twelve(container)
    cursor = (await client.get("/v1/users?limit=2")).json()["next_cursor"]
    async with running(Container(settings=container.settings())) as other:
        page = await other.user_service().list(cursor=cursor, limit=100)
    assert len(page.items) == 11
