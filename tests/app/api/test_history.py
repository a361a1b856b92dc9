"""GET /v1/users/{id}/history: who changed what."""

import httpx2

from containers import Container
from tests.app.api.conftest import Create, SignIn
from tests.app.api.problem_document import assert_problem
from unitwork.models import SYSTEM, acting_as


async def test_an_admin_reads_who_changed_what_newest_first(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ann@example.com", display_name="Ann", password="correct horse")
    path = f"/v1/users/{user['id']}"
    await client.patch(path, json={"display_name": "Anna"}, headers={"If-Match": "*", "X-Request-ID": "req-7"})
    await client.delete(path, headers={"If-Match": "*"})
    response = await client.get(f"{path}/history")
    assert response.status_code == 200
    deletion, change, creation = response.json()["items"]
    assert (deletion["action"], change["action"], creation["action"]) == ("deleted", "changed", "created")
    assert change["changes"] == [{"field": "display_name", "kept": True, "before": "Ann", "after": "Anna"}]
    assert change["request_id"] == "req-7"
    assert change["created_by"] == user["created_by"]
    assert change["version"] == 2
    assert {"field": "password_hash", "kept": False, "before": None, "after": None} in creation["changes"]
    assert "argon2" not in response.text
    assert response.json()["has_more"] is False


async def test_a_history_is_paged(client: httpx2.AsyncClient, create: Create) -> None:
    user = await create(email="ann@example.com")
    for number in range(3):
        body = {"display_name": str(number)}
        await client.patch(f"/v1/users/{user['id']}", json=body, headers={"If-Match": "*"})
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"/v1/users/{user['id']}/history", params=query)).json()
        seen += [entry["version"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == [4, 3, 2, 1]


async def test_an_account_reads_its_own_history_and_nobody_elses(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    ann, hers = await sign_in({"email": "ann@example.com"})
    bob, _ = await sign_in({"email": "bob@example.com"})
    assert (await client.get(f"/v1/users/{ann.id}/history", headers=hers)).status_code == 200
    assert_problem(await client.get(f"/v1/users/{bob.id}/history", headers=hers), 403, "not_allowed")
    assert_problem(await client.get("/v1/users/77/history", headers=hers), 403, "not_allowed")


async def test_there_is_none_of_an_account_that_never_was(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/v1/users/77/history"), 404, "not_found")
    assert_problem(await client.get("/v1/users/77/history?cursor=nonsense"), 422, "invalid_cursor")


async def test_a_history_outlives_its_account_without_what_it_held(
    client: httpx2.AsyncClient, create: Create, container: Container
) -> None:
    user = await create(email="ann@example.com", display_name="Ann Example")
    with acting_as(SYSTEM):
        async with container.transaction()():
            await container.user_dao().purge(int(user["id"]))
            await container.audit_dao().forget_values(int(user["id"]))
    response = await client.get(f"/v1/users/{user['id']}/history")
    assert [entry["action"] for entry in response.json()["items"]] == ["purged", "created"]
    assert {change["field"] for change in response.json()["items"][1]["changes"]} >= {"email", "display_name"}
    assert "nn" not in str([entry["changes"] for entry in response.json()["items"]])
