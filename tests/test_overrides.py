"""An override of any provider is seen by what is resolved next, and nothing of it is left after its block."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
from dependency_injector import providers
from pydantic import BaseModel, SecretStr
from sqlalchemy import URL, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from containers import Container, running
from domain import User
from domain.errors import TooManyAttempts
from services.messaging.broker import Broker
from settings import Settings
from tests import graph
from unitwork.audit.trail import AuditTrail
from unitwork.errors import EngineNotStarted, InvalidCursor
from unitwork.ids.node_leases import NodeLease
from unitwork.ids.snowflake import Snowflake
from unitwork.models import SYSTEM, acting_as
from unitwork.monitor.findings.finding import SLOW
from unitwork.monitor.monitor import SqlMonitor

pytestmark = pytest.mark.database("own")  # the kit overrides what is judged here

PAGE: Mapping[str, Any] = Container.providers
NOT_KEPT = {
    "engine": {"settings", "lifetime"},
    "replicas": {"settings", "engine", "lifetime"},
    "database_server": {"lifetime"},
    "schema": {"lifetime"},
}
"""A Resource asks for what it is made of when `running()` opens it; the others ask their lifetime a question once."""


class Fake:
    """Is whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_arguments: Any, **_options: Any) -> Any:
        return self


def fake(name: str) -> Any:
    if name == "settings":
        return Settings(var_dir="elsewhere", secret_key="o" * 40).model_copy(deep=True)
    if name == "signing_key":
        return "o" * 40
    return SqlMonitor() if name == "sql_monitor" else Fake()


def above(name: str) -> set[str]:
    """All that is made of it, of what is made of it, and so on."""
    names = {id(provider): name for name, provider in PAGE.items()}
    users: dict[str, set[str]] = {}
    for user, provider in PAGE.items():
        for given in graph._given(provider):
            for source, _, _ in graph._sources(given, names):
                if names[id(source)] not in NOT_KEPT.get(user, ()):
                    users.setdefault(names[id(source)], set()).add(user)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = users.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def sees(thing: Any, wanted: Any) -> bool:
    """Whether an object holds it or a value of it, or asks a provider that gives it, or holds what does."""
    marks = list(values_of(wanted)) if isinstance(wanted, Settings) else [wanted]
    seen: dict[int, Any] = {}
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if any(one is mark or (isinstance(one, Path) and one == mark) for mark in marks):
            return True
        if id(one) in seen or isinstance(one, (str, int, float, type, Path)):
            continue
        seen[id(one)] = one
        waiting += parts(one)
    return False


def values_of(settings: Settings) -> Iterator[Any]:
    """The settings, their sections, and such values as are this object's alone."""
    yield from (settings, settings.var_dir, settings.notifications)
    if settings.secret_key is not None:
        yield settings.secret_key.get_secret_value()
    for value in vars(settings).values():
        if isinstance(value, BaseModel):
            yield value
            yield from (one for one in vars(value).values() if isinstance(one, (dict, timedelta, URL)))


def parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, providers.Provider):
        with suppress(EngineNotStarted):
            yield thing()
        while isinstance(thing, (providers.AttributeGetter, providers.ProvidedInstance)):
            thing = thing.provides  # an attribute is had by asking for what it is of
        with suppress(EngineNotStarted):
            yield thing()
    elif isinstance(thing, MethodType):
        yield thing.__self__
    elif isinstance(thing, Mapping):
        yield from list(thing.values())
    elif isinstance(thing, (list, tuple, set)):
        yield from thing
    elif not isinstance(thing, AsyncEngine) and type(thing).__module__.partition(".")[0] in {
        "repositories",
        "services",
        "unitwork",
    }:
        yield from vars(thing).values() if hasattr(thing, "__dict__") else ()


@asynccontextmanager
async def fresh(settings: Settings) -> AsyncIterator[Container]:
    yield Container(settings=settings)


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Container]:
    async with running(Container(settings=settings)) as container:
        yield container


def resolved(container: Container, names: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name in sorted(names):
        with suppress(EngineNotStarted):
            made[name] = getattr(container, name)()
    return made


def test_a_singleton_is_given_providers_alone() -> None:
    """What it is given by value it would keep from when it was first made, override or not."""
    names = {id(provider): name for name, provider in PAGE.items()}
    by_value = {
        f"{name} is given {names[id(source)]}"
        for name, provider in PAGE.items()
        if isinstance(provider, providers.BaseSingleton)
        for given in graph._given(provider)
        for source, _, delegated in graph._sources(given, names)
        if not delegated
    }
    assert by_value == set()


@pytest.mark.parametrize("resolved_before", [True, False], ids=["resolved before", "first resolved inside"])
@pytest.mark.parametrize("container_of", [fresh, started])
async def test_an_override_is_seen_by_all_above_and_by_nothing_afterwards(
    tmp_path: Path, container_of: Any, resolved_before: bool
) -> None:
    settings = Settings(database={"url": f"sqlite:///{tmp_path}/a.db"}, var_dir=tmp_path)
    for name in PAGE:
        async with container_of(settings) as container:
            if resolved_before:
                resolved(container, set(PAGE))
            wanted = fake(name)
            with getattr(container, name).override(providers.Object(wanted)):
                assert getattr(container, name)() is wanted
                for user, made in resolved(container, above(name)).items():
                    assert sees(made, wanted), f"{user} doesn't see the override of {name}"
            assert container.sql_monitor().thresholds  # it heeds the settings in force at its next use
            for user, made in resolved(container, set(PAGE)).items():
                assert not sees(made, wanted), f"{user} keeps the override of {name}"


async def test_in_a_running_container_the_next_unit_works_with_what_is_in_force(container: Container) -> None:
    """And the one after the block with what was in force before it."""
    own, users, trail = container.sql_monitor(), container.user_dao(), container.audit_dao()

    async def add(name: str) -> User:
        with acting_as(SYSTEM):
            return await users.add(User.create({"email": f"{name}@example.com"}))

    async def entries() -> int:
        return await trail.count().rows()

    await add("before")
    node, audited = container.id_generator().node_id, await entries()
    other, silent = SqlMonitor(), Silent()
    with (
        container.id_generator.override(providers.Object(Snowflake((node + 1) % 4096))),
        container.sql_monitor.override(providers.Object(other)),
        container.audit_trail.override(providers.Object(silent)),
    ):
        inside = await add("inside")
        assert inside.id >> 10 & 0xFFF == (node + 1) % 4096
        assert other.shapes.kinds["INSERT users"].ok == 1
    assert await entries() == audited
    after = await add("after")
    assert after.id >> 10 & 0xFFF == node
    assert await entries() == audited + 1
    assert other.shapes.kinds["INSERT users"].ok == 1
    assert own.shapes.kinds["INSERT users"].ok == 2
    assert not other._listening
    assert own.open == other.open == {}


async def test_settings_overridden_in_a_running_container_hold_for_the_block(container: Container) -> None:
    settings = container.settings()
    other = settings.model_copy(
        update={
            "node_id": 77,
            "secret_key": SecretStr("o" * 40),
            "passwords": settings.passwords.model_copy(update={"time_cost": 2, "memory_cost": 16, "parallelism": 1}),
            "rate_limits": settings.rate_limits.model_copy(update={"login_account": "1/hour"}),
            "database": settings.database.model_copy(update={"slow_sql_threshold": 1e-9}),
        }
    )
    users, limits, monitor = container.user_dao(), container.rate_limits(), container.sql_monitor()
    cursor, key = container.cursors().write("id", [1]), container.signing_key()
    monitor.thresholds.session_leak = 7.0
    with acting_as(SYSTEM), container.settings.override(other):
        assert (await users.add(User.create({"email": "ann@example.com"}))).id >> 10 & 0xFFF == 77
        assert container.signing_key() == "o" * 40
        with pytest.raises(InvalidCursor):
            container.cursors().read("id", cursor)
        assert "m=16,t=2,p=1" in await container.passwords().hash("correct horse battery")
        await limits.hit("login", contact="ann")
        with pytest.raises(TooManyAttempts):
            await limits.hit("login", contact="ann")
        assert monitor.thresholds.slow_sql == 1e-9
        assert monitor.findings.counts[SLOW] > 0
    with acting_as(SYSTEM):
        assert (await users.add(User.create({"email": "bob@example.com"}))).id >> 10 & 0xFFF != 77
    assert container.signing_key() == key
    assert container.cursors().read("id", cursor) == [1]
    await limits.hit("login", contact="ann")
    assert monitor.thresholds.slow_sql == settings.database.slow_sql_threshold
    assert monitor.thresholds.session_leak == 7.0, (
        "what was changed by hand stays with the settings it was changed under"
    )


async def test_a_node_that_another_database_leased_makes_no_id_in_ours(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"node_id": None})
    other_settings = Settings(database={"url": f"sqlite:///{tmp_path}/b.db"})
    async with running(Container(settings=settings)) as container, running(Container(settings=other_settings)) as other:
        await other.schema().upgrade()
        with acting_as(SYSTEM):
            with container.engine.override(providers.Object(other.engine())):
                await container.user_dao().add(User.create({"email": "there@example.com"}))
            assert await leases(container) == 0
            await container.user_dao().add(User.create({"email": "here@example.com"}))
        assert await leases(container) == 1


async def leases(container: Container) -> int:
    async with container.engine().connect() as connection:
        return (await connection.execute(select(func.count()).select_from(NodeLease))).scalar_one()


def test_a_publisher_sends_to_the_broker_in_force(tmp_path: Path) -> None:
    container = Container(settings=Settings(var_dir=tmp_path))
    publisher = container.publisher()
    ours = publisher._celery().conf.broker_url
    other = Broker("redis://elsewhere/1", None, tmp_path, "q", 1, 2, 3)
    with container.broker.override(providers.Object(other)):
        assert publisher._celery().conf.broker_url == "redis://elsewhere/1"
    assert publisher._celery().conf.broker_url == ours


class Silent(AuditTrail):
    """Tells nothing."""

    def concerns(self, table: Any) -> bool:
        return False

    def flushed(self, session: Any) -> None:
        """Nothing."""

    def entry(self, row: Any) -> None:
        """Nothing."""
