"""Services over fakes: no database anywhere, nothing connects."""

import pytest

from containers import Container, running
from database.errors import StaleVersion
from domain import SYSTEM, acting_as
from domain.errors import EmailTaken, PhoneTaken
from repositories.errors import UserNotFound
from settings import Settings
from tests.fakes import FailingUsers, FakeSessions, InMemoryUsers
from tests.services.csv_text import CsvText

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/none"


def over_fakes() -> tuple[Container, FakeSessions, InMemoryUsers]:
    container = Container(settings=Settings(database={"url": UNREACHABLE}))
    sessions, users = FakeSessions(), InMemoryUsers()
    container.session_provider.override(sessions)
    container.user_dao.override(users)
    return container, sessions, users


async def test_a_service_over_fakes_needs_no_database() -> None:
    container, sessions, users = over_fakes()
    async with running(container):
        with acting_as(7):
            user = await container.user_service().create({"email": "Ada@example.com"})
            assert (await container.user_service().get(user.id)) is user
            assert user.created_by == 7
            changed = await container.user_service().update(user.id, {"display_name": "Ada"}, version=1)
            assert changed.display_name == "Ada"
            deleted = await container.user_service().delete(user.id)
            assert deleted.deleted
            with pytest.raises(UserNotFound):
                await container.user_service().get(user.id)
            assert not (await container.user_service().restore(user.id, version=deleted.version)).deleted
        assert container.schema().connections_in_use == 0
    assert sessions.outcomes == ["committed"] * 4
    assert sessions.open == 0
    assert list(users.rows) == [user.id]


async def test_a_service_over_fakes_works_outside_running() -> None:
    container, sessions, _ = over_fakes()
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "ada@example.com"})
    assert sessions.outcomes == ["committed"]


async def test_a_refusal_rolls_the_fake_session_back() -> None:
    container, sessions, _ = over_fakes()
    with acting_as(SYSTEM):
        user = await container.user_service().create({"email": "ada@example.com", "phone": "+14155550132"})
        with pytest.raises(EmailTaken):
            await container.user_service().create({"email": "ADA@example.com"})
        with pytest.raises(PhoneTaken):
            await container.user_service().create({"phone": "+14155550132"})
        with pytest.raises(StaleVersion):
            await container.user_service().update(user.id, {}, version=9)
    assert sessions.outcomes == ["committed", "rolled back", "rolled back", "rolled back"]


async def test_an_import_over_fakes_needs_no_database() -> None:
    container, sessions, _ = over_fakes()
    with acting_as(SYSTEM):
        report = await container.user_csv_service().import_file(CsvText("email\na@example.com\nA@example.com\n"))
    assert (report.rows, report.imported, report.skipped) == (2, 1, 1)
    assert sessions.outcomes == ["committed"]


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
    container = Container(settings=Settings(database={"url": UNREACHABLE}))
    sessions = FakeSessions()
    with container.session_provider.override(sessions):
        async with container.transaction()() as transaction, container.session_provider()() as session:
            assert transaction.session is not session, "a fake provider needs no notion of joining"
            assert sessions.open == 2
    assert sessions.outcomes == ["committed", "committed"]
