"""Services over fakes: no database anywhere, nothing connects."""

from datetime import timedelta

import pytest

from containers import Container, running
from domain import Token, User
from domain.errors import EmailTaken, NotAuthenticated, PhoneTaken
from repositories.errors import UserNotFound
from settings import Settings
from tests.fakes import FailingUsers, over_fakes
from tests.services.csv_text import CsvText
from unitwork.errors import StaleVersion
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao


async def test_a_service_over_fakes_needs_no_database() -> None:
    container, sessions = over_fakes()
    async with running(container):
        with acting_as(7):
            user = await container.user_service().create({"email": "Ada@example.com"})
            assert (await container.user_service().find("ada@EXAMPLE.com")).created_by == 7
            changed = await container.user_service().update(user.id, {"display_name": "Ada"}, version=1)
            assert (changed.display_name, changed.version) == ("Ada", 2)
            deleted = await container.user_service().delete(user.id)
            assert deleted.deleted
            with pytest.raises(UserNotFound):
                await container.user_service().get(user.id)
            assert not (await container.user_service().restore(user.id, version=deleted.version)).deleted
        assert container.schema().connections_in_use == 0
    assert sessions.outcomes == ("committed",) * 4
    assert sessions.open == 0
    assert [(stored.id, stored.version) for stored in sessions.committed(User)] == [(user.id, 4)]


async def test_a_service_over_fakes_works_outside_running() -> None:
    container, sessions = over_fakes()
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ada@example.com"})
    assert sessions.outcomes == ("committed",)


async def test_a_refusal_rolls_the_fake_session_back() -> None:
    container, sessions = over_fakes()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com", "phone": "+14155550132"})
        with pytest.raises(EmailTaken):
            await container.user_service().create({"email": "ADA@example.com"})
        with pytest.raises(PhoneTaken):
            await container.user_service().create({"phone": "+14155550132"})
        with pytest.raises(StaleVersion):
            await container.user_service().update(user.id, {}, version=9)
    assert sessions.outcomes == ("committed", "rolled back", "rolled back", "rolled back")
    assert len(sessions.committed(User)) == 1


async def test_lists_and_pages_over_fakes_are_those_of_a_database() -> None:
    container, _ = over_fakes()
    service = container.user_service()
    with acting_as(SYSTEM):
        for name in ("Ada", "Bob", "Cleo"):
            await service.create({"email": f"{name}@example.com", "display_name": name})
    first = await service.list(order="-display_name", limit=2, include_total=True)
    second = await service.list(order="-display_name", limit=2, cursor=first.next_cursor)
    assert [user.display_name for user in (*first.items, *second.items)] == ["Cleo", "Bob", "Ada"]
    assert (first.total, first.has_more, second.has_more) == (3, True, False)


async def test_authentication_over_fakes_needs_no_database() -> None:
    container, sessions = over_fakes()
    service = container.auth_service()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com"})
        _, secret = await service.issue(user.id)
        _, late = await service.issue(user.id, lifetime=timedelta(seconds=-1))
        assert (await service.authenticate(secret)).id == user.id
        with pytest.raises(NotAuthenticated):
            await service.authenticate(late)
        assert await service.revoke(secret) is True
        with pytest.raises(NotAuthenticated):
            await service.authenticate(secret)
    assert [token.revoked_at is None for token in sessions.committed(Token)] == [False, True]


async def test_an_import_and_an_export_over_fakes_need_no_database() -> None:
    container, sessions = over_fakes()
    with acting_as(SYSTEM):
        report = await container.user_csv_service().import_file(CsvText("email\na@example.com\nA@example.com\n"))
    assert (report.rows, report.imported, report.skipped) == (2, 1, 1)
    exported = "".join([piece async for piece in container.user_csv_service().export()])
    assert exported.splitlines()[2].split(",")[1] == "a@example.com"
    assert sessions.outcomes == ("committed",), "an export reads without a transaction"


async def test_an_override_holds_for_its_block_and_for_its_container_alone(settings: Settings) -> None:
    async with running(Container(settings=settings)) as one, running(Container(settings=settings)) as two:
        with acting_as(SYSTEM):
            before = one.user_service()
            with one.user_dao.override(FailingUsers(RuntimeError("fake"))):
                with pytest.raises(RuntimeError, match="fake"):
                    await one.user_service().get(1)
                for service in (two.user_service(), before):
                    with pytest.raises(UserNotFound):
                        await service.get(1)
            with pytest.raises(UserNotFound):
                await one.user_service().get(1)


async def test_an_overridden_session_provider_is_seen_by_every_dao_and_service() -> None:
    sessions = FakeSessionProvider()
    container, _ = over_fakes(sessions)
    users = InMemoryDao(container.session_provider(), User)
    with acting_as(SYSTEM):
        async with container.transaction()() as transaction, container.session_provider()() as session:
            assert transaction.session is session
            user = await users.add(User.create({"email": "ada@example.com"}))
            assert await container.user_service().get(user.id) is user
            assert (sessions.open, sessions.committed(User)) == (1, [])
    assert sessions.outcomes == ("committed",)
