"""What bodies may be."""

import httpx2
import pytest

from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@sqlite_only
async def test_a_merge_patch_is_taken_as_json_is(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com', display_name='Ada'))['id']}"
    declared = (
        "application/merge-patch+json",
        "Application/Merge-Patch+JSON; charset=UTF-8",
        "application/json",
        'APPLICATION/JSON ; charset="utf-8"',
        "application/json;charset=utf8",
        "application/json; version=1",
    )
    for number, media_type in enumerate(declared):
        body = b'{"display_name": "%d", "phone": null}' % number
        answer = await client.patch(path, content=body, headers={"Content-Type": media_type, "If-Match": "*"})
        assert answer.status_code == 200, media_type
        assert answer.json()["display_name"] == str(number)


@sqlite_only
async def test_other_media_types_are_refused_before_the_body_is_read(
    client: httpx2.AsyncClient, create: Create
) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    refused = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/vnd.api+json",
        "application/json; charset=iso-8859-1",
        "application/merge-patch+json; charset=utf-16",
        "",
        "nonsense",
        "application/xml",
        "multipart/form-data; boundary=x",
    )
    for media_type in refused:
        headers = {"Content-Type": media_type, "If-Match": "*"}
        answer = await client.patch(path, content=b"{ no JSON", headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-patch"] == "application/merge-patch+json, application/json"
    for path in ("/v1/users", "/v1/auth/login", "/v1/auth/logout"):
        for media_type in ("application/merge-patch+json", "text/plain"):
            answer = await client.post(path, content=b"{ no JSON", headers={"Content-Type": media_type})
            assert_problem(answer, 415, "unsupported_media_type")
            assert answer.headers["accept"] == "application/json"


@sqlite_only
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "identity, gzip", "deflate", "aws-chunked"])
async def test_a_coded_body_is_refused_and_told_which_coding_is_read(client: httpx2.AsyncClient, coding: str) -> None:
    for path, media_type in (
        ("/v1/users", "application/json"),
        ("/v1/users/import", "text/csv"),
        ("/v1/auth/login", "application/json"),
    ):
        headers = {"Content-Type": media_type, "Content-Encoding": coding}
        answer = await client.post(path, content=b"\x1f\x8b\x08", headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "identity"
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    answer = await client.post("/v1/users", content=b'{"email": "ada@example.com"}', headers=headers)
    assert answer.status_code == 201
    assert (await client.get("/v1/users/me", headers={"Content-Encoding": coding})).status_code == 200
