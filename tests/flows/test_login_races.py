"""Accounts and logins under races, with real commits: what is to happen once does, and what was ended stays so."""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx2
import pytest

from containers import Container
from domain import Role, User, UserStatus
from domain.errors import LastAdmin, LoginRefused, RefreshRefused, WrongPassword
from settings import Settings
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now

pytestmark = pytest.mark.database("own")
PASSWORD = "correct horse battery"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nobody is refused for want of a connection."""
    return settings.model_copy(update={"database": settings.database.model_copy(update={"pool_timeout": 60.0})})


async def account(container: Container, *, email: str = "ada@example.com", role: Role = Role.USER) -> User:
    with acting_as(SYSTEM):
        return await container.user_service().create({"email": email, "role": role}, password=PASSWORD)


async def live_tokens(container: Container, user: User) -> int:
    tokens = await container.token_dao().query().eq("user_id", user.id).all()
    return sum(token.live(utc_now()) for token in tokens)


async def results(work: Sequence[Awaitable[Any]], *refusals: type[Exception]) -> list[Any]:
    """What each gave, None for one that was refused; anything else is raised."""
    found = await asyncio.gather(*work, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException) and not isinstance(result, refusals):
            raise result
    return [None if isinstance(result, BaseException) else result for result in found]


@pytest.mark.parametrize("taken", ["email", "phone"])
async def test_of_twice_fifty_parallel_registrations_of_one_address_one_is_made(
    client: httpx2.AsyncClient, container: Container, taken: str
) -> None:
    emails = ["ada@example.com", "ADA@example.com", " Ada@Example.com", "ａda@example.com"]
    phones = ["+14155550132", "+1 415 555 0132", "+1 (415) 555-0132"]
    spellings = emails if taken == "email" else phones
    for _ in range(2):
        answers = await asyncio.gather(
            *(
                client.post("/v1/auth/register", json={taken: spellings[number % len(spellings)], "password": PASSWORD})
                for number in range(50)
            )
        )
        statuses = collections.Counter(answer.status_code for answer in answers)
        assert statuses == {201: 1, 409: 49}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {f"{taken}_taken"}
        assert await container.user_dao().count(include_deleted=True).rows() == 2, "the admin and one"
        made = next(answer for answer in answers if answer.status_code == 201)
        with acting_as(SYSTEM):
            await container.user_service().purge(int(made.json()["id"]))
    assert container.schema().connections_in_use == 0


async def test_of_refreshes_at_once_one_wins_and_no_login_is_left(container: Container) -> None:
    user, auth = await account(container), container.auth_service()
    for _ in range(3):
        first = await auth.login("ada@example.com", PASSWORD)
        pairs = await results([auth.refresh(first.refresh) for _ in range(20)], RefreshRefused)
        assert sum(pair is not None for pair in pairs) == 1
        assert await live_tokens(container, user) == 0, "a token used twice ends its login"
        winner = next(pair for pair in pairs if pair is not None)
        with pytest.raises(RefreshRefused):
            await auth.refresh(winner.refresh)


async def test_no_refresh_or_login_slips_past_a_logout_everywhere(container: Container) -> None:
    user, auth = await account(container), container.auth_service()
    for _ in range(4):
        pairs = [await auth.login("ada@example.com", PASSWORD) for _ in range(4)]
        with acting_as(user.id):
            everything = [auth.refresh(pair.refresh) for pair in pairs]
            await results([*everything[:2], auth.logout_all(user.id), *everything[2:]], RefreshRefused)
        for pair in pairs:
            with pytest.raises(RefreshRefused):
                await auth.refresh(pair.refresh)
        assert await live_tokens(container, user) == 0


async def test_no_login_with_the_old_password_outlives_its_change(container: Container) -> None:
    user, auth = await account(container), container.auth_service()
    old, new = PASSWORD, "another password"
    for _ in range(3):
        with acting_as(user.id):
            logins = [auth.login("ada@example.com", old) for _ in range(6)]
            await results([*logins[:3], auth.change_password(user.id, old, new), *logins[3:]], LoginRefused)
        assert await live_tokens(container, user) == 0
        await auth.login("ada@example.com", new)
        old, new = new, old


async def test_of_two_password_changes_at_once_one_counts(container: Container) -> None:
    user, auth = await account(container), container.auth_service()
    with acting_as(user.id):
        changes = [auth.change_password(user.id, PASSWORD, f"new password {number}") for number in range(6)]
        found = await asyncio.gather(*changes, return_exceptions=True)
    assert collections.Counter(type(result) for result in found) == {type(None): 1, WrongPassword: 5}
    await auth.login("ada@example.com", f"new password {found.index(None)}")


async def test_no_token_outlives_a_deletion_or_a_suspension(container: Container) -> None:
    user, auth, users = await account(container), container.auth_service(), container.user_service()
    for status in ("deleted", "suspended"):
        first = await auth.login("ada@example.com", PASSWORD)
        with acting_as(SYSTEM):
            end = (
                users.delete(user.id)
                if status == "deleted"
                else users.update(user.id, {"status": UserStatus.SUSPENDED})
            )
            work = [auth.login("ada@example.com", PASSWORD), auth.refresh(first.refresh), end]
            await results([*work, auth.login("ada@example.com", PASSWORD)], LoginRefused, RefreshRefused)
            assert await live_tokens(container, user) == 0
            if status == "deleted":
                await users.restore(user.id)


async def test_admins_who_remove_each_other_at_once_leave_one(container: Container) -> None:
    users = container.user_service()
    admins = [await account(container, email=f"admin{number}@example.com", role=Role.ADMIN) for number in range(6)]
    ways: list[Callable[[int], Awaitable[object]]] = [
        lambda id_: users.update(id_, {"role": Role.USER}),
        lambda id_: users.update(id_, {"status": UserStatus.SUSPENDED}),
        lambda id_: users.delete(id_),
        lambda id_: users.purge(id_),
    ]
    with acting_as(SYSTEM):
        found = await asyncio.gather(
            *(ways[number % len(ways)](admin.id) for number, admin in enumerate(admins)), return_exceptions=True
        )
    assert [type(result) for result in found if isinstance(result, Exception)] == [LastAdmin]
    assert len(await container.user_dao().query().eq("role", "admin").eq("status", "active").all()) == 1
