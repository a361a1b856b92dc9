"""If-None-Match and If-Match beyond one tag: lists, weak tags, any."""

import asyncio

import httpx2
import pytest

from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"7", "1"', '"a,b" , W/"1",', "*", ' "1" '])
async def test_an_answer_that_is_known_is_304_without_body(
    client: httpx2.AsyncClient, create: Create, known: str
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    for method in ("GET", "HEAD"):
        for address in (path, "/v1/users/me"):
            answer = await client.request(method, address, headers={"If-None-Match": known})
            assert answer.status_code == 304
            assert answer.content == b""
            assert answer.headers["etag"] == '"1"'
            assert answer.headers["cache-control"] == "no-store"
            assert "content-type" not in answer.headers
            assert "content-length" not in answer.headers


async def test_several_headers_are_one_list(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    for method, name, body, status in (
        ("GET", "If-None-Match", None, 304),
        ("PATCH", "If-Match", {"display_name": "Ada"}, 200),
    ):
        headers = [(name, '"7"'), (name, '"1"'), *client.headers.items()]
        answer = await client.request(method, path, json=body, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("known", ['"2"', '"one"', '"1 "', 'W/"11"', '""'])
async def test_an_answer_that_is_not_known_comes_whole(client: httpx2.AsyncClient, create: Create, known: str) -> None:
    user = await create(email="ada@example.com")
    answer = await client.get(f"/v1/users/{user['id']}", headers={"If-None-Match": known})
    if known == '"1 "':
        assert_problem(answer, 400, "malformed_header")
        return
    assert answer.status_code == 200
    assert answer.json() == user


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("known", ["1", "", '"1', 'w/"1"', '"1" "2"', '*, "1"'])
async def test_a_list_that_is_none_is_400_and_names_its_header(
    client: httpx2.AsyncClient, create: Create, known: str
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    for name, answer in (
        ("If-None-Match", await client.get(path, headers={"If-None-Match": known})),
        ("If-Match", await client.patch(path, json={}, headers={"If-Match": known})),
    ):
        assert name in assert_problem(answer, 400, "malformed_header")["detail"]


async def test_what_was_changed_deleted_or_restored_is_not_known_any_more(
    client: httpx2.AsyncClient, create: Create
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    known = (await client.get(path)).headers["etag"]
    for change in (
        client.patch(path, json={"display_name": "Ada"}, headers={"If-Match": known}),
        client.delete(path, headers={"If-Match": "*"}),
        client.post(f"{path}/restore", headers={"If-Match": "*"}),
    ):
        changed = await change
        now = changed.headers["etag"]
        assert now != known
        asked = f"{path}?include_deleted=true"
        assert (await client.get(asked, headers={"If-None-Match": known})).status_code == 200
        assert (await client.get(asked, headers={"If-None-Match": f"{known}, {now}"})).status_code == 304
        known = now


async def test_an_account_that_is_gone_or_not_ones_own_is_no_304(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    await client.delete(path, headers={"If-Match": "*"})
    assert_problem(await client.get(path, headers={"If-None-Match": "*"}), 404, "not_found")
    nobody = {"Authorization": "", "If-None-Match": "*"}
    assert_problem(await client.get(path, headers=nobody), 401, "not_authenticated")


@pytest.mark.parametrize("seen", ['"7", "1"', '"1","7"', 'W/"1", "1"', '"else", "1"'])
async def test_any_tag_of_a_list_allows_the_change(client: httpx2.AsyncClient, create: Create, seen: str) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    answer = await client.patch(path, json={"display_name": "Ada"}, headers={"If-Match": seen})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert (await client.delete(path, headers={"If-Match": '"9", "2"'})).headers["etag"] == '"3"'
    assert (await client.post(f"{path}/restore", headers={"If-Match": '"3", "9"'})).headers["etag"] == '"4"'


@pytest.mark.parametrize("seen", ['W/"1"', 'W/"1", "7"', 'W/"1", W/"2"'])
async def test_a_weak_tag_never_allows_a_change_and_is_told_why(
    client: httpx2.AsyncClient, create: Create, seen: str
) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    answer = await client.patch(path, json={"display_name": "Ada"}, headers={"If-Match": seen})
    problem = assert_problem(answer, 412, "weak_etag")
    assert "a weak tag" in problem["detail"]
    assert "never matches" in problem["detail"]
    assert "compresses" in problem["detail"]
    assert (await client.get(path)).json() == user


async def test_a_weak_tag_of_an_older_version_is_stale_like_any(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    answer = await client.patch(path, json={}, headers={"If-Match": 'W/"8", "9"'})
    assert_problem(answer, 412, "stale_version")


@pytest.mark.parametrize("known", ["*", '"1"', 'W/"1"'])
async def test_a_change_of_what_must_not_be_there_is_412(
    client: httpx2.AsyncClient, create: Create, known: str
) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"
    for seen in ("*", '"1"'):
        both = {"If-Match": seen, "If-None-Match": known}
        assert_problem(await client.patch(path, json={"display_name": "x"}, headers=both), 412, "stale_version")
        assert_problem(await client.delete(path, headers=both), 412, "stale_version")
    assert (await client.get(path)).json() == user


async def test_of_changes_that_name_the_same_list_at_once_one_wins(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    changes = [
        client.patch(path, json={"display_name": f"{number}"}, headers={"If-Match": '"1", "77"'}) for number in range(8)
    ]
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*changes)])
    assert statuses == [200] + [412] * 7
    assert (await client.get(path)).json()["version"] == 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_moments_and_ranges_are_not_asked_for_and_change_nothing(
    client: httpx2.AsyncClient, create: Create
) -> None:
    """No answer has Last-Modified or Accept-Ranges, so RFC 9110 has these headers ignored."""
    user = await create(email="ada@example.com")
    future, past = "Fri, 31 Dec 2100 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"
    for headers in (
        {"If-Modified-Since": future},
        {"If-Unmodified-Since": past},
        {"Range": "bytes=0-3"},
        {"Range": "bytes=0-3", "If-Range": '"1"'},
        {"If-Modified-Since": future, "If-None-Match": '"7"'},
    ):
        answer = await client.get(f"/v1/users/{user['id']}", headers=headers)
        assert answer.status_code == 200
        assert answer.json() == user
        assert "accept-ranges" not in answer.headers
        assert "last-modified" not in answer.headers
