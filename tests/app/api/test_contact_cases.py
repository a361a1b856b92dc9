"""What people type as phone numbers, addresses and passwords, over HTTP."""

import httpx2
import pytest

from containers import Container
from settings import Settings
from settings.email import EmailSettings
from tests.app.api.conftest import Create
from tests.app.api.problem_document import assert_problem
from tests.contact_cases import ALLOWED, PAIRS, PASSWORDS, PHONES, REFUSED_EMAILS, WORDS, Pair, Phone
from unitwork.models import SYSTEM, acting_as

CSV = {"Content-Type": "text/csv"}


async def stored(container: Container, field: str) -> list[object]:
    """Besides the admin's."""
    users = await container.user_dao().query().ne("email", "root@example.com").order_by("id").all()
    phones = await container.user_dao().query().is_null("email").all()
    return [getattr(user, field) for user in (*users, *phones)]


def told(answer: httpx2.Response, field: str) -> str:
    """The reason that the problem document gives for the field."""
    body = assert_problem(answer, 422, "unacceptable")
    [error] = [error for error in body["errors"] if field in str(error)]
    return str(error)


@pytest.mark.parametrize("phone", PHONES, ids=[phone.typed for phone in PHONES])
async def test_a_phone_number_is_stored_whole_or_refused_with_its_reason(
    client: httpx2.AsyncClient, container: Container, phone: Phone
) -> None:
    if phone.region is None:
        for path in ("/v1/users", "/v1/auth/register"):
            body = {"phone": phone.typed} | ({"password": "a long password"} if "auth" in path else {})
            answer = await client.post(path, json=body)
            if phone.stored is None:
                assert phone.words in told(answer, "phone")
            else:
                assert answer.status_code == 201, answer.text
                with acting_as(SYSTEM):
                    await container.user_dao().purge(int(answer.json()["id"]))
        assert await stored(container, "phone") == []
    content = f'phone,email\n"{phone.typed}",\n'
    query = {} if phone.region is None else {"region": phone.region}
    answer = await client.post("/v1/users/import", params=query, content=content.encode(), headers=CSV)
    assert answer.status_code == 200
    assert [phone.words in row["reason"] for row in answer.json()["rejected"]] == [True] * (phone.stored is None)
    assert await stored(container, "phone") == ([] if phone.stored is None else [phone.stored])


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{pair.one} {pair.other}" for pair in PAIRS])
async def test_a_pair_of_addresses_is_one_account_or_two_by_every_way_in(
    anyone: httpx2.AsyncClient, container: Container, admin_token: str, pair: Pair
) -> None:
    admin = {"Authorization": f"Bearer {admin_token}"}
    one, other, same = pair
    made = (await anyone.post("/v1/users", json={"email": one, "password": "password of one"}, headers=admin)).json()
    second = {"email": other, "password": "password of other"}
    for answer in (
        await anyone.post("/v1/users", json=second, headers=admin),
        *([await anyone.post("/v1/auth/register", json=second)] if same else []),
    ):
        if same:
            assert_problem(answer, 409, "email_taken")
        else:
            assert answer.status_code == 201, answer.text
    found = (await anyone.get("/v1/users", params={"email": other}, headers=admin)).json()["items"]
    assert [user["email"] for user in found] == [one if same else other]
    own = "password of one" if same else "password of other"
    assert (await anyone.post("/v1/auth/login", json={"login": other, "password": own})).status_code == 200
    assert (await anyone.post("/v1/auth/login", json={"login": one, "password": "password of one"})).status_code == 200
    imported = await anyone.post("/v1/users/import", content=f"email\n{one}\n{other}\n".encode(), headers=admin | CSV)
    assert (imported.json()["imported"], imported.json()["skipped"]) == (0, 2)
    moved = await anyone.patch(f"/v1/users/{made['id']}", json={"email": other}, headers=admin | {"If-Match": "*"})
    assert moved.status_code == (200 if same else 409), "an account may take another spelling of its own address"
    assert await stored(container, "email") == ([other] if same else [one, other])


@pytest.mark.parametrize("email", REFUSED_EMAILS)
async def test_a_refused_address_says_why(client: httpx2.AsyncClient, container: Container, email: str) -> None:
    for path in ("/v1/users", "/v1/auth/register"):
        body = {"email": email} | ({"password": "a long password"} if "auth" in path else {})
        reason = told(await client.post(path, json=body), "email")
        assert WORDS[email] in reason
        assert ALLOWED.get(email, "") in reason
    imported = await client.post("/v1/users/import", content=f'email\n"{email}"\n'.encode(), headers=CSV)
    assert [WORDS[email] in row["reason"] for row in imported.json()["rejected"]] == [True]
    assert await stored(container, "email") == []


async def test_a_private_domain_is_taken_where_a_setting_allows_it(
    client: httpx2.AsyncClient, container: Container, settings: Settings
) -> None:
    allowed = settings.model_copy(update={"email": EmailSettings(private_domains=("local",))})
    with container.settings.override(allowed):
        answer = await client.post("/v1/users", json={"email": "ann@corp.local"})
        imported = await client.post("/v1/users/import", content=b"email\nben@corp.local\n", headers=CSV)
        assert (answer.status_code, imported.json()["imported"]) == (201, 1)
        moved = await client.patch(
            f"/v1/users/{answer.json()['id']}", json={"email": "cyd@corp.local"}, headers={"If-Match": "*"}
        )
        assert moved.status_code == 200
    found = await client.get("/v1/users", params={"email": "BEN@Corp.Local"})
    assert len(found.json()["items"]) == 1, "what is stored is found, whatever is allowed"


async def test_each_spelling_of_a_password_is_one_password(anyone: httpx2.AsyncClient) -> None:
    composed, decomposed = PASSWORDS
    for name, password, other in (("a", composed, decomposed), ("b", decomposed, composed)):
        body = {"email": f"{name}@example.com", "password": password}
        assert (await anyone.post("/v1/auth/register", json=body)).status_code == 201
        answer = await anyone.post("/v1/auth/login", json={"login": body["email"], "password": other})
        assert answer.status_code == 200
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        changed = {"current": password, "new": f"{other} too"}
        assert (await anyone.post("/v1/users/me/password", json=changed, headers=bearer)).status_code == 204
        again = {"login": body["email"], "password": f"{password} too"}
        assert (await anyone.post("/v1/auth/login", json=again)).status_code == 200


async def test_a_login_is_any_spelling_of_the_phone_number(anyone: httpx2.AsyncClient) -> None:
    body = {"phone": "+44 (0)20 7946 0018", "password": "a long password"}
    assert (await anyone.post("/v1/auth/register", json=body)).status_code == 201
    for login in ("+442079460018", " +44 20 7946 0018", "\u202a+44 (0)20-7946-0018\u202c", "＋44 20 7946 0018"):
        answer = await anyone.post("/v1/auth/login", json={"login": login, "password": "a long password"})
        assert answer.status_code == 200, login


async def test_names_are_refused_or_stored_with_single_blanks(client: httpx2.AsyncClient, create: Create) -> None:
    made = await create(email="ann@example.com", display_name=" Ann \u00a0 Lee ")
    assert made["display_name"] == "Ann Lee"
    for name in ("\u200b", "\u202egnp.nnA", "Ann\u2067"):
        answer = await client.post("/v1/users", json={"email": "ben@example.com", "display_name": name})
        assert "U+20" in told(answer, "display_name") or "can be seen" in told(answer, "display_name")
        imported = await client.post(
            "/v1/users/import", content=f"email,display_name\nben@example.com,{name}\n".encode(), headers=CSV
        )
        assert len(imported.json()["rejected"]) == 1, name
