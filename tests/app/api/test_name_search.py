"""`GET /v1/users?name=`: one rule on every database and in the fakes."""

import httpx2
import pytest

from app.api import create_app
from containers import Container, running
from domain import User
from repositories import UserDao, UserFilter
from tests.app.api.conftest import Create
from tests.fakes import over_fakes
from unitwork.models import SYSTEM, acting_as

NAMES = (
    "Annie Easley", "Özil ÖZ", "İstanbul", "ISPARTA", "Straße", "STRASSE", "José", "Jose\u0301 NFD", "Łódź", "Ψυχή",
    "100%", "snake_case", "back\\slash", "O’Brien", "Søren", "かき", "がき", "ｆｕｌｌ  width", "محمّد", "ﬁne",
    "Nguyễn Văn", "ЁЛКА", "हिन्दी", "x" * 200,
)  # fmt: skip
FOUND: list[tuple[str, set[str]]] = [
    ("easley", {"Annie Easley"}),
    ("EASLEY", {"Annie Easley"}),
    ("annie  easley", {"Annie Easley"}),
    ("e easl", {"Annie Easley"}),
    ("öz", {"Özil ÖZ"}),
    ("Öz", {"Özil ÖZ"}),
    ("oz il", set()),
    ("ozil", {"Özil ÖZ"}),
    ("istanbul", {"İstanbul"}),
    ("İSTANBUL", {"İstanbul"}),
    ("ısparta", {"ISPARTA"}),
    ("strasse", {"Straße", "STRASSE"}),
    ("STRAßE", {"Straße", "STRASSE"}),
    ("ẞ", {"Straße", "STRASSE"}),
    ("jose", {"José", "Jose\u0301 NFD"}),
    ("JOSÉ", {"José", "Jose\u0301 NFD"}),
    ("lodz", {"Łódź"}),
    ("ψυχη", {"Ψυχή"}),
    ("%", {"100%"}),
    ("％", {"100%"}),
    ("_", {"snake_case"}),
    ("\\", {"back\\slash"}),
    ("o'brien", {"O’Brien"}),
    ("soren", {"Søren"}),
    ("か", {"かき"}),
    ("が", {"がき"}),
    ("full width", {"ｆｕｌｌ width"}),
    ("محمد", {"محمّد"}),
    ("fine", {"ﬁne"}),
    ("nguyen van", {"Nguyễn Văn"}),
    ("елка", {"ЁЛКА"}),
    ("हिन्दी", {"हिन्दी"}),
    ("हिन्दु", set()),
    ("xX", {"x" * 200}),
]


@pytest.fixture
async def stored(container: Container) -> UserDao:
    with acting_as(SYSTEM):
        await container.user_dao().add_many(people())
    return container.user_dao()


def people() -> list[User]:
    return [User.create({"email": f"u{number}@example.com", "display_name": name}) for number, name in enumerate(NAMES)]


async def search(users: UserDao, text: str) -> set[str]:
    found = await UserFilter(name=text).apply(users.query()).all()
    assert await UserFilter(name=text).apply(users.count()).rows() == len(found)
    return {str(user.display_name) for user in found}


async def test_a_name_is_found_in_any_case_and_accents_on_every_database(stored: UserDao) -> None:
    for text, names in FOUND:
        assert await search(stored, text) == names, text
    for nothing in ("", " ", "\u0301", "\u200d"):
        assert await search(stored, nothing) == set()


async def test_the_fakes_answer_as_the_databases_do() -> None:
    container, _ = over_fakes()
    async with running(container):
        users = container.user_dao()
        with acting_as(SYSTEM):
            for person in people():
                await users.add(person)
        for text, names in FOUND:
            assert await search(users, text) == names, text


async def test_a_name_is_found_over_http_after_each_change_of_it(client: httpx2.AsyncClient, create: Create) -> None:
    async def found(text: str) -> list[str]:
        answer = await client.get("/v1/users", params={"name": text, "include_total": "true"})
        assert answer.json()["total"] == len(answer.json()["items"])
        return [user["email"] for user in answer.json()["items"]]

    user = await create(email="annie@example.com", display_name="Annie Easley")
    path, any_version = f"/v1/users/{user['id']}", {"If-Match": "*"}
    assert await found("easley") == ["annie@example.com"]
    await client.patch(path, json={"display_name": "Ænnie Müller"}, headers=any_version)
    assert await found("easley") == []
    assert await found("aennie mull") == ["annie@example.com"]
    await client.patch(path, json={"display_name": None}, headers=any_version)
    assert await found("mull") == []
    imported = b"email,display_name\nkatherine@example.com,Katherine J\xc3\xb6hnson\n"
    await client.post("/v1/users/import", content=imported, headers={"Content-Type": "text/csv"})
    assert await found("JOHNSON") == ["katherine@example.com"]
    history = (await client.get(f"{path}/history")).json()["items"]
    assert {change["field"] for entry in history for change in entry["changes"]} & {"name_key"} == set()
    assert "name_key" not in str(create_app().openapi())
