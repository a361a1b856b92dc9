"""A COMMIT that fails, each way it can: the outcome is known, and models show what that means for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from containers import Container
from tests.repositories.conformance import Subject, on_all
from tests.repositories.harbours import HarbourBase, Sailor, Ship, Tanker
from unitwork import Outcome, Propagation, execute_transaction
from unitwork.errors import (
    ColumnNotLoaded,
    DatabaseError,
    ForeignKeyViolation,
    RelationshipNotLoaded,
    SerializationFailure,
    UniqueViolation,
)

pytestmark = [pytest.mark.database("own"), pytest.mark.usefixtures("acting")]

DEFERRED = (
    "CREATE TABLE manifests (ship bigint REFERENCES ships (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE seals (number int CONSTRAINT one_seal UNIQUE DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO seals VALUES (1)",
)


class Refused(Exception):
    """By a listener."""


def refuse(*_told: Any) -> None:
    raise Refused


@contextmanager
def listening(target: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    event.listen(target, name, function)
    try:
        yield
    finally:
        event.remove(target, name, function)


@pytest.fixture
async def with_ship(container: Container) -> int:
    """The id of a ship with Ann and Bob."""
    async with container.engine().begin() as connection:
        await connection.run_sync(HarbourBase.metadata.create_all)
        for statement in DEFERRED[: 3 if connection.dialect.name == "postgresql" else 1]:
            await connection.exec_driver_sql(statement)
    async with container.transaction()() as tx:
        ship = Tanker(name="Ada", papers="old", freight={"oil": 1}, tons=7)
        ship.crew = [Sailor(name="Ann"), Sailor(name="Bob")]
        tx.session.add(ship)
    return ship.id


async def _foreign_key(session: AsyncSession) -> None:
    await session.execute(text("INSERT INTO manifests VALUES (-1)"))


async def _unique(session: AsyncSession) -> None:
    await session.execute(text("INSERT INTO seals VALUES (1)"))


async def _before_commit(session: AsyncSession) -> None:
    event.listen(session.sync_session, "before_commit", refuse)


async def _at_engine(session: AsyncSession) -> None:
    connection = await session.connection()
    event.listen(connection.sync_connection, "commit", refuse)


Way = Callable[[AsyncSession], Any]
WAYS: list[tuple[str, Way, type[Exception]]] = [
    ("sqlite", _foreign_key, ForeignKeyViolation),
    ("postgresql", _foreign_key, ForeignKeyViolation),
    ("postgresql", _unique, UniqueViolation),
    *((backend, way, Refused) for backend in ("sqlite", "postgresql") for way in (_before_commit, _at_engine)),
]


@pytest.mark.parametrize(("backend", "way", "error"), WAYS, indirect=["backend"])
@pytest.mark.parametrize("flushed", [True, False])
async def test_models_of_every_shape_are_as_they_were_read(
    container: Container, with_ship: int, way: Way, error: type[Exception], *, flushed: bool
) -> None:
    new = Sailor(name="Dan")
    with pytest.raises(error):
        async with container.transaction()() as tx:
            ship = await tx.session.get_one(Tanker, with_ship, options=[selectinload(Tanker.crew)])
            ann, bob = ship.crew
            unread = await tx.session.get_one(Sailor, bob.id)
            ship.name, ship.tons, ship.papers = "lost", 8, "new"
            assert ship.freight is not None
            ship.freight["oil"] = 2
            ship.crew.append(new)
            ship.crew.remove(bob)
            await tx.session.delete(ann)
            if flushed:
                await tx.session.flush()
            await way(tx.session)
    assert tx.outcome is Outcome.ROLLED_BACK
    assert (ship.id, ship.name, ship.tons, ship.version) == (with_ship, "Ada", 7, 1)
    assert [one.name for one in ship.crew] == ["Ann", "Bob"]
    assert [(one.ship_id, one.version) for one in (ann, bob, unread)] == [(with_ship, 1)] * 3
    for column in ("papers", "freight"):  # never loaded, and changed in place
        with pytest.raises(ColumnNotLoaded, match=f"Tanker.{column}"):
            getattr(ship, column)
    with pytest.raises(RelationshipNotLoaded):
        assert (await _another_read(container, with_ship)).crew
    assert (new.name, inspect(new).transient, inspect(ann).was_deleted) == ("Dan", True, False)
    assert f"id={with_ship}" in repr(ship)
    async with container.transaction()() as tx:
        tx.session.add_all([ship, new])
        ship.name = "Eve"
    assert (ship.version, new.version, (await _another_read(container, with_ship)).name) == (2, 1, "Eve")


async def _another_read(container: Container, ship_id: int) -> Ship:
    async with container.transaction()(read_only=True) as tx:
        return await tx.session.get_one(Ship, ship_id)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("retry", [None, 2])
async def test_models_of_a_transaction_that_could_not_be_serialised_are_as_they_were_read(
    container: Container, with_ship: int, retry: int | None
) -> None:
    attempts: list[tuple[list[Sailor], Sailor]] = []

    async def work(session: AsyncSession) -> None:
        crew = list((await session.scalars(select(Sailor).order_by(Sailor.name))).all())
        new = Sailor(name=f"attempt {len(attempts)}")
        crew[0].name, first = "Amy", not attempts
        attempts.append((crew, new))
        session.add(new)
        await session.flush()
        if first:
            async with container.transaction()(Propagation.REQUIRES_NEW, isolation="SERIALIZABLE") as other:
                seen = (await other.session.scalars(select(Sailor).order_by(Sailor.name))).all()
                seen[1].name = "Ben"

    ending: type[Exception] | None = None
    try:
        await execute_transaction(container.transaction(), work, retry=retry, isolation="SERIALIZABLE")
    except DatabaseError as error:
        ending = type(error)
    assert ending is (SerializationFailure if retry is None else None)
    (ann, bob), new = attempts[0]
    assert [(one.name, one.version, one.ship_id) for one in (ann, bob)] == [
        ("Ann", 1, with_ship),
        ("Bob", 1, with_ship),
    ]
    assert (new.name, inspect(new).transient) == ("attempt 0", True)
    if retry is not None:
        (ann, bob), new = attempts[1]
        assert [(one.name, one.version) for one in (ann, bob)] == [("Amy", 2), ("Ben", 2)]
        assert inspect(new).detached


@on_all
@pytest.mark.parametrize("late", [False, True])
async def test_a_listener_that_raises_leaves_no_doubt_about_the_outcome(subject: Subject, *, late: bool) -> None:
    (row,) = await subject.named("first")
    told: list[str] = []
    with pytest.raises(Refused):
        async with subject.transaction() as tx:
            tx.after_commit(lambda: told.append("committed"))
            tx.after_rollback(lambda: told.append("rolled back"))
            found = await subject.users.get(row.id)
            found.display_name = "second"
            event.listen(tx.session.sync_session, "after_commit" if late else "before_commit", refuse)
    outcome = Outcome.COMMITTED if late else Outcome.ROLLED_BACK
    assert (tx.outcome, told) == (outcome, [outcome.value])
    assert (found.display_name, found.version) == (("second", 2) if late else ("first", 1))
    assert await subject.names() == [found.display_name]
    found.display_name = "third"
    await subject.users.add(found)
    assert await subject.names() == ["third"]


@on_all
@pytest.mark.parametrize("way", ["raises", "changes"])
async def test_a_listener_before_a_flush_is_heard(subject: Subject, way: str) -> None:
    (row,) = await subject.named("first")

    def listen(session: Any, _context: Any, _objects: Any) -> None:
        for one in session.dirty:
            one.display_name = "by the listener"
        if way == "raises":
            raise Refused

    found: Any = None
    try:
        async with subject.transaction() as tx:
            event.listen(tx.session.sync_session, "before_flush", listen)
            found = await subject.users.get(row.id)
            found.display_name = "second"
    except Refused:
        assert way == "raises"
    assert found.display_name == ("first" if way == "raises" else "by the listener")
    assert await subject.names() == [found.display_name]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
async def test_an_engines_listener_that_raises_undoes_all_and_frees_the_connection(container: Container) -> None:
    engine = container.engine().sync_engine
    users = container.user_dao()
    with listening(engine, "commit", refuse), pytest.raises(Refused):
        async with container.transaction()() as tx:
            assert await users.count().rows() == 0
    assert tx.outcome is Outcome.ROLLED_BACK
    assert container.schema().connections_in_use == 0
