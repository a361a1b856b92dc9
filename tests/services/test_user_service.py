"""UserService: what is committed, what is refused, and in whose name."""

import asyncio

import pytest

from containers import Container, running
from domain import User
from domain.errors import AlreadyTaken, ContactMissing, EmailTaken, InvalidPassword, InvalidText, PhoneTaken
from repositories.errors import UserNotFound
from services.user_service import SORTABLE
from settings import Settings
from unitwork.errors import InvalidCursor, NoActingUser, StaleVersion, UnknownColumn
from unitwork.models import SYSTEM, acting_as


@pytest.mark.database("own")
async def test_what_a_service_returns_is_committed(container: Container, settings: Settings) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"})
        async with running(Container(settings=settings)) as elsewhere:
            assert (await elsewhere.user_service().get(user.id)).email == "ada@example.com"
            changed = await container.user_service().update(user.id, {"display_name": "Ada"})
            seen = await elsewhere.user_service().get(user.id)
            assert (seen.display_name, seen.version) == ("Ada", changed.version) == ("Ada", 2)


async def test_a_write_without_an_acting_user_is_refused_and_stores_nothing(container: Container) -> None:
    with pytest.raises(NoActingUser):
        await container.user_service().create({"email": "ada@example.com"})
    assert await container.user_dao().count().rows() == 0


async def test_an_account_needs_a_contact(container: Container) -> None:
    with acting_as(SYSTEM):
        with pytest.raises(ContactMissing):
            await container.user_service().create({"display_name": "nobody"})
        user = await container.user_service().create({"email": "ada@example.com"})
        with pytest.raises(ContactMissing):
            await container.user_service().update(user.id, {"email": None})
        moved = await container.user_service().update(user.id, {"email": None, "phone": "+14155550132"})
    assert (moved.email, moved.email_key, moved.phone) == (None, None, "+14155550132")


async def test_a_change_is_taken_over_whole_or_not_at_all(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com", "display_name": "Ada"})
        with pytest.raises(InvalidText):
            await container.user_service().update(user.id, {"email": "new@example.com", "display_name": "\0"})
        await container.user_service().create({"phone": "+14155550132"})
        with pytest.raises(PhoneTaken):
            await container.user_service().update(user.id, {"display_name": "New", "phone": "+14155550132"})
    stored = await container.user_service().get(user.id)
    assert (stored.email, stored.display_name, stored.version) == ("ada@example.com", "Ada", 1)


@pytest.mark.parametrize("password", ["short", "é" * 513, "x" * 1025])
async def test_a_password_that_is_refused_creates_no_account(container: Container, password: str) -> None:
    with acting_as(SYSTEM), pytest.raises(InvalidPassword):
        await container.user_service().create({"email": "ada@example.com"}, password=password)
    assert await container.user_dao().count().rows() == 0


async def test_of_parallel_registrations_of_one_address_exactly_one_wins(container: Container) -> None:
    async def register(number: int) -> str:
        with acting_as(SYSTEM):
            try:
                await container.user_service().create({"email": ("Ada" if number % 2 else "ADA") + "@example.com"})
            except EmailTaken:
                return "taken"
            return "created"

    outcomes = await asyncio.gather(*(register(number) for number in range(10)))
    assert sorted(outcomes) == ["created", *["taken"] * 9]
    assert await container.user_dao().count().rows() == 1


async def test_of_parallel_changes_of_one_version_exactly_one_wins(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"})

    async def change(number: int) -> str:
        with acting_as(SYSTEM):
            try:
                await container.user_service().update(user.id, {"display_name": f"name {number}"}, version=1)
            except StaleVersion:
                return "stale"
            return "changed"

    outcomes = await asyncio.gather(*(change(number) for number in range(10)))
    assert sorted(outcomes) == ["changed", *["stale"] * 9]
    assert (await container.user_service().get(user.id)).version == 2


async def test_an_account_is_found_by_id_address_and_number(container: Container) -> None:
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "Ada@example.com", "phone": "+14155550132"})
    service = container.user_service()
    for contact in (str(user.id), "ada@EXAMPLE.com", "+14155550132"):
        assert (await service.find(contact)).id == user.id
    for contact in ("1", str(2**63 - 1), str(2**63), "9" * 40, "ada", "+1", "", "４"):
        with pytest.raises(UserNotFound):
            await service.find(contact)


async def test_an_id_of_nineteen_digits_is_an_id(container: Container) -> None:
    """Ids have nineteen digits from 2032 on."""
    with acting_as(SYSTEM):
        user = User.create({"email": "future@example.com"})
        user.id = 2**63 - 1
        await container.user_dao().add(user)
    assert (await container.user_service().find(str(2**63 - 1))).email == "future@example.com"


async def test_a_list_is_ordered_by_nothing_secret(container: Container) -> None:
    for order in ("password_hash", "-password_hash", "email_key", "emial", "", "--email"):
        with pytest.raises(UnknownColumn):
            await container.user_service().list(order=order)
    for order in SORTABLE:
        assert (await container.user_service().list(order=order)).items == []
    with pytest.raises(InvalidCursor):
        await container.user_service().list(cursor="x")


async def test_delete_and_restore_keep_the_contacts(container: Container) -> None:
    service = container.user_service()
    with acting_as(SYSTEM):
        user = await service.create({"email": "ada@example.com"})
        deleted = await service.delete(user.id, version=1)
        assert (deleted.version, deleted.deleted) == (2, True)
        with pytest.raises(AlreadyTaken):
            await service.create({"email": "ada@example.com"})
        with pytest.raises(UserNotFound):
            await service.update(user.id, {"display_name": "x"})
        with pytest.raises(UserNotFound):
            await service.delete(user.id)
        with pytest.raises(StaleVersion):
            await service.restore(user.id, version=1)
        assert not (await service.restore(user.id, version=2)).deleted
    assert (await service.find("ada@example.com")).id == user.id
