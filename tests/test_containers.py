"""The page that explains the system: one lifetime, resolved synchronously, overridable anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dependency_injector import providers
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from containers import Container, running
from domain import User
from repositories import AuditDao, TokenDao, UserDao
from services import AuditService, AuthService, Passwords, UserCsvService, UserService
from settings import Settings, SettingsError
from unitwork import TransactionProvider
from unitwork.audit.trail import AuditTrail
from unitwork.connections.lifetime import Lifetime
from unitwork.dao import Cursors
from unitwork.errors import ContainerClosed, DriverNotInstalled, EngineNotStarted
from unitwork.ids.id_generator import IdGenerator
from unitwork.models import SYSTEM, acting_as
from unitwork.schema import Schema
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.session_provider import EngineSessionProvider

pytestmark = pytest.mark.database("own")  # the kit overrides what is judged here

KINDS: dict[str, type[Any]] = {
    "settings": Settings,
    "signing_key": str,
    "lifetime": Lifetime,
    "engine": AsyncEngine,
    "schema": Schema,
    "id_generator": IdGenerator,
    "session_factory": SessionFactory,
    "session_provider": EngineSessionProvider,
    "transaction": TransactionProvider,
    "cursors": Cursors,
    "user_dao": UserDao,
    "token_dao": TokenDao,
    "audit_trail": AuditTrail,
    "audit_dao": AuditDao,
    "passwords": Passwords,
    "audit_service": AuditService,
    "user_service": UserService,
    "user_csv_service": UserCsvService,
    "auth_service": AuthService,
}


async def test_every_provider_resolves_synchronously(container: Container) -> None:
    """No provider gives a Future: `container.user_service()` is a service."""
    for name, kind in KINDS.items():
        assert isinstance(getattr(container, name)(), kind), name
    assert set(KINDS) <= set(container.providers)


async def test_what_is_shared_is_one_object_and_the_rest_is_made_anew(container: Container) -> None:
    for name in ("settings", "lifetime", "engine", "id_generator", "session_factory", "signing_key", "passwords"):
        assert getattr(container, name)() is getattr(container, name)(), name
    for name in ("session_provider", "transaction", "user_dao", "token_dao", "user_service", "auth_service"):
        assert getattr(container, name)() is not getattr(container, name)(), name


def test_the_environment_is_read_on_first_use_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "garbage")
    container = Container()
    with pytest.raises(SettingsError, match="GATEHOUSE_DATABASE__URL"):
        container.settings()
    monkeypatch.delenv("DATABASE_URL")
    assert container.settings().database.embedded
    with pytest.raises(EngineNotStarted):
        container.engine()


async def test_without_a_container_running_reads_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", settings.database.url.render_as_string(hide_password=False))
    async with running() as container:
        assert container.settings().database.url == settings.database.url
        assert await container.user_dao().count().rows() == 0


async def test_running_inside_running_is_the_same_lifetime(settings: Settings) -> None:
    container = Container(settings=settings)
    async with running(container):
        engine = container.engine()
        async with running(container) as same:
            assert same is container
            assert same.engine() is engine
        assert await container.user_dao().count().rows() == 0
        assert container.engine() is engine
    with pytest.raises(ContainerClosed):
        container.engine()


async def test_a_closed_container_can_not_be_entered_again(settings: Settings) -> None:
    container = Container(settings=settings)
    async with running(container):
        pass
    with pytest.raises(ContainerClosed, match="Build a new one"):
        async with running(container):
            pytest.fail("it is closed")
    async with running(Container(settings=settings)) as another:
        assert await another.user_dao().count().rows() == 0


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError, KeyboardInterrupt])
async def test_however_the_block_ends_the_connections_are_closed(
    settings: Settings, error: type[BaseException], backend: str
) -> None:
    container = Container(settings=settings)
    opened: list[AsyncEngine] = []

    async def work() -> None:
        async with running(container):
            await container.user_dao().count().rows()
            opened.append(container.engine())
            assert opened[0].pool.checkedin() == 1  # type: ignore[attr-defined]
            raise error

    with pytest.raises(error):
        await work()
    assert opened[0].pool.checkedin() == 0  # type: ignore[attr-defined]


async def test_a_failed_start_closes_and_ends_the_container(settings: Settings) -> None:
    container = Container(settings=settings)
    lifetime, closed = container.lifetime(), []

    async def close() -> None:
        closed.append(True)

    def broken() -> None:
        lifetime.on_close(close)
        raise DriverNotInstalled("x", "mysql")

    with pytest.raises(DriverNotInstalled), container.engine.override(providers.Resource(broken)):
        async with running(container):
            pytest.fail("it can't start")
    assert closed == [True]
    with pytest.raises(ContainerClosed):
        container.engine()


async def test_two_containers_at_once_never_see_each_other(container: Container, tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    async with running(Container(settings=Settings(database={"url": url}))) as other:
        await other.schema().upgrade()
        with acting_as(SYSTEM):
            async with container.transaction()() as tx:
                await container.user_dao().add(User(email="a@b.c", email_key="a@b.c"))
                async with other.transaction()() as inner:
                    assert inner.session is not tx.session
                    await other.user_dao().add(User(email="x@y.z", email_key="x@y.z"))
                    assert await other.user_dao().query().scalars("email") == ["x@y.z"]
                assert await container.user_dao().query().scalars("email") == ["a@b.c"]
        with other.passwords.override(providers.Object("fake")):
            assert isinstance(container.passwords(), Passwords)
    assert await container.user_dao().query().scalars("email") == ["a@b.c"]
    with pytest.raises(ContainerClosed):
        other.engine()


async def test_an_overridden_session_provider_is_seen_by_the_next_service(container: Container) -> None:
    """Trap 27: tests had to patch sys.modules."""
    entered: list[bool] = []
    real = container.session_provider()

    @asynccontextmanager
    async def counting(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        entered.append(read_only)
        async with real(autoflush=autoflush, read_only=read_only) as session:
            yield session

    with acting_as(SYSTEM):
        with container.session_provider.override(providers.Object(counting)):
            user = await container.user_service().create({"email": "ann@example.com"})
            assert entered == [False]
            await container.user_dao().get(user.id)
            assert entered == [False, True]
        await container.user_service().create({"email": "bob@example.com"})
    assert entered == [False, True]
    assert await container.user_dao().count().rows() == 2


async def test_a_service_over_fakes_needs_no_engine() -> None:
    class NoUsers:
        async def get(self, id: int, *, include_deleted: bool = False) -> User:
            return User(id=id, email="fake@example.com")

    container = Container(settings=Settings())
    with container.user_dao.override(providers.Object(NoUsers())):
        assert (await container.user_dao().get(7)).email == "fake@example.com"


async def test_an_overridden_engine_works_and_is_the_callers_to_dispose(settings: Settings) -> None:
    engine = create_async_engine(settings.database.url)
    container = Container(settings=settings)
    try:
        with container.engine.override(providers.Object(engine)), acting_as(SYSTEM):
            async with running(container):
                user = await container.user_service().create({"email": "ann@example.com"})
                assert container.engine() is engine
                assert (await container.user_dao().get(user.id)).email == "ann@example.com"
            assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 1
    finally:
        await engine.dispose()


async def test_an_overridden_engine_needs_no_driver_of_the_settings(database_url: str) -> None:
    engine = create_async_engine(Settings(database={"url": database_url}).database.url)
    container = Container(settings=Settings(database={"url": "mysql://nowhere/app"}))
    try:
        with container.engine.override(providers.Object(engine)):
            async with running(container):
                assert await container.user_dao().count().rows() == 0
    finally:
        await engine.dispose()


async def test_an_engine_overridden_while_running_is_seen_at_once(container: Container, tmp_path: Any) -> None:
    async with running(Container(settings=Settings(database={"url": f"sqlite:///{tmp_path}/b.db"}))) as other:
        await other.schema().upgrade()
        dao = container.user_dao()
        with acting_as(SYSTEM), container.engine.override(providers.Object(other.engine())):
            await dao.add(User(email="a@b.c", email_key="a@b.c"))
        assert await dao.count().rows() == 0
        assert await other.user_dao().count().rows() == 1
