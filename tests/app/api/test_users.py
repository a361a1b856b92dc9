"""`/v1/users/{id}`: one account, from its creation to its restore."""

import asyncpg
import httpx2
import pytest
from sqlalchemy import make_url

from containers import Container, running
from domain import User
from settings import Settings
from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem
from unitwork.models import SYSTEM, acting_as

USER_MEMBERS = {
    "id", "email", "phone", "display_name", "role", "status", "version",
    "created_at", "created_by", "updated_at", "updated_by", "deleted_at",
    "email_verified_at", "pending_email", "locale",
}  # fmt: skip


async def test_create_answers_the_account_its_address_and_its_etag(client: httpx2.AsyncClient) -> None:
    response = await client.post(
        "/v1/users", json={"email": " Ada@Example.com ", "phone": "+44 20 7946 0958", "display_name": "Ada"}
    )

    assert response.status_code == 201
    body = response.json()
    assert set(body) == USER_MEMBERS
    assert response.headers["location"] == f"/v1/users/{body['id']}"
    assert response.headers["etag"] == '"1"'
    assert body["email"] == "Ada@Example.com"
    assert body["phone"] == "+442079460958"
    assert (body["role"], body["status"], body["version"], body["deleted_at"]) == ("user", "active", 1, None)
    assert body["created_at"] == body["updated_at"]
    assert body["created_at"].endswith("Z")
    assert (await client.get(response.headers["location"])).json() == body


async def test_ids_are_strings_of_digits(client: httpx2.AsyncClient, create: Create) -> None:
    body = await create(email="ada@example.com")
    for member in ("id", "created_by", "updated_by"):
        assert isinstance(body[member], str)
        assert body[member].isdecimal()
    assert int(body["id"]) > 2**53


@pytest.mark.database("own")
async def test_a_created_account_is_committed_before_its_answer(
    client: httpx2.AsyncClient, backend: str, settings: Settings
) -> None:
    """A second connection, of another container or driver, sees each of 100 rows right after its 201."""
    url = make_url(settings.database.url).set(drivername="postgresql")
    async with running(Container(settings=settings)) as other:
        second = await asyncpg.connect(url.render_as_string(hide_password=False)) if backend == "postgresql" else None
        try:
            for number in range(100):
                response = await client.post("/v1/users", json={"email": f"u{number}@example.com"})
                id_ = int(response.json()["id"])
                if second is not None:
                    assert await second.fetchval("SELECT count(*) FROM users WHERE id = $1", id_) == 1
                else:
                    assert (await other.user_dao().get(id_)).id == id_
        finally:
            if second is not None:
                await second.close()


async def test_a_password_is_stored_as_a_hash_and_never_answered(
    client: httpx2.AsyncClient, container: Container
) -> None:
    secret = "correct horse battery"
    response = await client.post("/v1/users", json={"email": "ada@example.com", "password": secret})
    user = await container.user_dao().get(int(response.json()["id"]))
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    assert secret not in response.text
    assert "argon2" not in response.text


async def test_patch_changes_what_it_names_and_nothing_else(client: httpx2.AsyncClient, create: Create) -> None:
    before = await create(email="ada@example.com", display_name="Ada", phone="+14155550132")
    path = f"/v1/users/{before['id']}"

    response = await client.patch(path, json={"display_name": "Countess"}, headers={"If-Match": '"1"'})

    assert response.status_code == 200
    assert response.headers["etag"] == '"2"'
    after = response.json()
    assert {name for name in after if after[name] != before[name]} == {
        "display_name", "version", "updated_at", "updated_by"
    } - ({"updated_by"} if after["updated_by"] == before["updated_by"] else set())  # fmt: skip
    assert after["updated_at"] > before["updated_at"]
    assert (await client.get(path)).json() == after


async def test_patch_with_null_clears_a_field(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com", phone="+14155550132", display_name="Ada")
    response = await client.patch(
        f"/v1/users/{user['id']}", json={"phone": None, "display_name": None}, headers={"If-Match": "*"}
    )
    assert (response.json()["phone"], response.json()["display_name"]) == (None, None)
    problem = assert_problem(
        await client.patch(f"/v1/users/{user['id']}", json={"email": None}, headers={"If-Match": "*"}),
        422,
        "unacceptable",
    )
    assert problem["errors"][0]["field"] == "body.email"


@pytest.mark.parametrize("field", ["role", "status"])
async def test_role_and_status_cannot_be_cleared(client: httpx2.AsyncClient, create: Create, field: str) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(f"/v1/users/{user['id']}", json={field: None}, headers={"If-Match": "*"})
    problem = assert_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["field"] == f"body.{field}"


async def test_an_admin_changes_role_and_status(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(
        f"/v1/users/{user['id']}", json={"role": "admin", "status": "suspended"}, headers={"If-Match": '"1"'}
    )
    assert (response.json()["role"], response.json()["status"]) == ("admin", "suspended")


async def test_an_empty_patch_changes_nothing(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(f"/v1/users/{user['id']}", json={}, headers={"If-Match": '"1"'})
    assert response.json() == user
    assert response.headers["etag"] == '"1"'


async def test_delete_answers_the_new_etag_and_restore_takes_it(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    path = f"/v1/users/{user['id']}"

    deleted = await client.delete(path, headers={"If-Match": '"1"'})
    assert (deleted.status_code, deleted.content, deleted.headers["etag"]) == (204, b"", '"2"')
    assert_problem(await client.get(path), 404, "not_found")
    hidden = (await client.get(path, params={"include_deleted": True})).json()
    assert hidden["deleted_at"] is not None
    assert hidden["version"] == 2

    stale = await client.post(f"{path}/restore", headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "stale_version")
    restored = await client.post(f"{path}/restore", headers={"If-Match": deleted.headers["etag"]})
    assert restored.status_code == 200
    assert restored.headers["etag"] == '"3"'
    assert restored.json()["deleted_at"] is None
    assert (await client.get(path)).json() == restored.json()


async def test_what_is_deleted_is_not_found_by_patch_and_delete(client: httpx2.AsyncClient, create: Create) -> None:
    path = f"/v1/users/{(await create(email='ada@example.com'))['id']}"
    await client.delete(path, headers={"If-Match": "*"})
    any_version = {"If-Match": "*"}
    assert_problem(await client.patch(path, json={"display_name": "x"}, headers=any_version), 404, "not_found")
    assert_problem(await client.delete(path, headers=any_version), 404, "not_found")


async def test_restoring_an_account_that_is_there_changes_nothing(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    response = await client.post(f"/v1/users/{user['id']}/restore", headers={"If-Match": '"1"'})
    assert response.json() == user


async def test_deleting_keeps_the_row(client: httpx2.AsyncClient, container: Container, create: Create) -> None:
    id_ = int((await create(email="ada@example.com"))["id"])
    await client.delete(f"/v1/users/{id_}", headers={"If-Match": "*"})
    row: User = await container.user_dao().get(id_, include_deleted=True)
    assert (row.email, row.deleted) == ("ada@example.com", True)


@pytest.mark.parametrize(
    "body", [{"email": "ADA@EXAMPLE.COM"}, {"email": "ada@example.com"}, {"email": "ａda@example.com"}]
)
async def test_an_address_is_taken_in_every_spelling(
    client: httpx2.AsyncClient, create: Create, body: dict[str, str]
) -> None:
    await create(email="Ada@Example.com")
    problem = assert_problem(await client.post("/v1/users", json=body), 409, "email_taken")
    assert body["email"] not in str(problem)


async def test_a_deleted_account_keeps_its_address_and_number(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com", phone="+14155550132")
    await client.delete(f"/v1/users/{user['id']}", headers={"If-Match": "*"})
    assert_problem(await client.post("/v1/users", json={"email": "ada@example.com"}), 409, "email_taken")
    assert_problem(await client.post("/v1/users", json={"phone": "+1 (415) 555-0132"}), 409, "phone_taken")


async def test_patch_cannot_take_what_another_account_has(client: httpx2.AsyncClient, create: Create) -> None:
    await create(email="ada@example.com", phone="+14155550132")
    other = await create(email="alan@example.com")
    path, any_version = f"/v1/users/{other['id']}", {"If-Match": "*"}
    assert_problem(await client.patch(path, json={"email": "ADA@example.com"}, headers=any_version), 409, "email_taken")
    assert_problem(await client.patch(path, json={"phone": "+14155550132"}, headers=any_version), 409, "phone_taken")
    assert (await client.get(path)).json() == other


async def test_an_account_may_respell_its_own_address(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ada@example.com")
    response = await client.patch(
        f"/v1/users/{user['id']}", json={"email": "Ada@Example.com"}, headers={"If-Match": "*"}
    )
    assert response.json()["email"] == "Ada@Example.com"


async def test_what_a_service_wrote_is_what_http_reads(client: httpx2.AsyncClient, container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"phone": "+14155550132"})
    body = (await client.get(f"/v1/users/{user.id}")).json()
    assert (body["id"], body["email"], body["created_by"]) == (str(user.id), None, "0")
