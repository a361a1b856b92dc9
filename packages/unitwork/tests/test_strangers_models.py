"""Mixins and the audit trail follow the mapper: bases, registries, keys and mappings of somebody else's."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import MetaData, Table, delete, event, exists, func, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, contains_eager, joinedload, selectinload, with_polymorphic

from packages.unitwork.tests.strangers import (
    Animal,
    Author,
    Book,
    Car,
    Cat,
    Change,
    Crate,
    Depot,
    Dog,
    Library,
    Notice,
    Parcel,
    Vehicle,
    renamed,
)
from unitwork import Database, NodeLease, create_tables, with_library_tables
from unitwork.audit import AuditEntry, AuditTrail
from unitwork.dao import BaseDao
from unitwork.errors import NotFound, StaleVersion, TransactionRolledBack
from unitwork.errors.model import UnrecordableKey
from unitwork.models import SYSTEM, SnowflakeId, acting_as
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao
from unitwork.testing.servers.databases import Databases

TRAIL = AuditTrail(Change)


@pytest.fixture
def url(databases: Databases, backend: str) -> Iterator[str]:
    url = databases.create(backend, migrated=False)
    yield url
    databases.drop(url)


@pytest.fixture
async def database(url: str, backend: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(url, recorder=TRAIL) as database:
        if backend == "sqlite":
            attach = f"ATTACH DATABASE '{tmp_path}/depot.db' AS depot"
            event.listen(database.engine.sync_engine, "connect", lambda connection, _: connection.execute(attach))
        async with database.engine.begin() as connection:
            if backend == "postgresql":
                await connection.execute(text("CREATE SCHEMA depot"))
            await connection.run_sync(create_tables, Library.metadata, Depot.metadata)
        with acting_as(SYSTEM):
            yield database


async def history(database: Database, model: type[Any], *keys: Any) -> list[tuple[str, int | None, Any]]:
    """Return the records' entries, oldest first: action, version, changes."""
    changes = BaseDao[Change](database.sessions, Change).query().eq("record_type", TRAIL.record_type(model))
    if keys:
        changes = changes.in_("record_id", [TRAIL.record_id(model, key) for key in keys])
    found = await changes.order_by("created_at").all()
    return [(entry.action.value, entry.record_version, entry.changes) for entry in found]


async def test_a_key_of_one_uuid_has_its_history(database: Database) -> None:
    authors = BaseDao[Author](database.sessions, Author)
    ada = await authors.add(Author(name="Ada", address="12 St James's Square"))
    async with database.transaction():
        (await authors.get(ada.id)).name = "Ada L."
    assert (await authors.soft_delete(ada.id, version=2)).version == 3
    with pytest.raises(NotFound):
        await authors.get(ada.id)
    with pytest.raises(StaleVersion):
        await authors.restore(ada.id, version=1)
    await authors.restore(ada.id)
    await authors.update().eq("id", ada.id).set(name="Ada Lovelace", address=None).execute()
    assert await authors.delete().eq("id", ada.id).execute() == 1
    told = await history(database, Author, ada.id)
    assert [(action, version) for action, version, _ in told] == [
        ("created", 1), ("changed", 2), ("deleted", 3), ("restored", 4), ("changed", 5), ("purged", 5),
    ]  # fmt: skip
    assert told[0][2] == {"name": {"after": "Ada"}, "address": {}}
    assert told[4][2] == {"name": {"before": "Ada L.", "after": "Ada Lovelace"}, "address": {}}


async def test_a_key_of_two_columns_has_its_history(database: Database) -> None:
    authors, books = BaseDao[Author](database.sessions, Author), BaseDao[Book](database.sessions, Book)
    ada = await authors.add(Author(name="Ada"))
    await books.add_many([Book(author_id=ada.id, number=number, title=f"Note {number}") for number in (1, 2, 3)])
    await books.update().eq("author_id", ada.id).gt("number", 1).set(title="Notes").execute()
    await books.soft_delete((ada.id, 3))
    await books.purge((ada.id, 2))
    async with database.sessions() as session:
        await session.execute(delete(Book).where(Book.number == 1))
    assert TRAIL.record_id(Book, (ada.id, 2)) == f'["{ada.id}", "2"]'
    assert [(action, version) for action, version, _ in await history(database, Book, (ada.id, 2))] == [
        ("created", 1), ("changed", 2), ("purged", 2),
    ]  # fmt: skip
    told = await history(database, Book, (ada.id, 3))
    assert [action for action, _, _ in told] == ["created", "changed", "deleted"]
    assert told[1][2] == {"title": {"before": "Note 3", "after": "Notes"}}
    assert [action for action, _, _ in await history(database, Book, (ada.id, 1))] == ["created", "purged"]


async def test_models_of_another_registry_in_a_schema_and_imperative_ones_have_theirs(database: Database) -> None:
    crates, parcels = BaseDao[Crate](database.sessions, Crate), BaseDao[Any](database.sessions, Parcel)
    await crates.add(Crate(code="A-1", content="tea"))
    await crates.soft_delete("A-1", version=1)
    assert await crates.count().rows() == 0
    parcel = Parcel()
    parcel.number, parcel.label = 7, "to Ada"
    await parcels.add(parcel)
    assert parcel.version == 1
    assert await parcels.update().eq("number", 7).set(label="to Charles").execute() == 1
    await parcels.soft_delete(7)
    with pytest.raises(StaleVersion):
        await parcels.purge(7, version=1)
    await parcels.purge(7)
    assert (TRAIL.record_type(Crate), TRAIL.record_type(Parcel)) == ("depot.crates", "depot.parcels")
    assert [told[:2] for told in await history(database, Crate, "A-1")] == [("created", 1), ("deleted", 2)]
    told = await history(database, Parcel, 7)
    assert [one[0] for one in told] == ["created", "changed", "deleted", "purged"]
    assert told[1][2] == {"label": {"before": "to Ada", "after": "to Charles"}}
    assert await history(database, Author) == []


async def test_constructs_of_tables_are_recorded_whatever_base_they_are_of(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.session.execute(insert(Crate), [{"code": "A", "content": "tea"}, {"code": "B", "content": "ink"}])
        await tx.session.execute(
            update(cast("Table", Crate.__table__)).where(Crate.code == "A").values(content="coffee")
        )
        await tx.session.execute(delete(Parcel))
        await tx.session.execute(delete(Crate).where(Crate.code == "B"))
    assert [told[0] for told in await history(database, Crate)] == ["created", "changed", "purged"]


async def test_inherited_models_are_one_record_of_the_first_table(database: Database) -> None:
    animals, dogs, cats = (BaseDao[Any](database.sessions, model) for model in (Animal, Dog, Cat))
    dog = await dogs.add(Dog(name="Rex", trick="roll"))
    cat = await cats.add(Cat(name="Tom", lives=9))
    assert (dog.version, cat.version) == (1, 1)
    async with database.transaction():
        (await dogs.get(dog.id)).trick = "sit"
        (await animals.get(cat.id)).name = "Thomas"
    async with database.transaction() as tx:
        await tx.session.execute(update(Animal).where(Animal.id == dog.id).values(name="Max"))
        await tx.session.execute(update(Cat).where(Cat.id == cat.id).values(lives=8))
        await tx.session.execute(update(Dog).where(Dog.trick == "sit").values(trick="bark"))
    with pytest.raises(StaleVersion):
        await dogs.soft_delete(dog.id, version=1)
    await dogs.soft_delete(dog.id)
    assert await dogs.count().rows() == 0
    assert [one.id for one in await animals.query().all()] == [cat.id]
    assert (await dogs.query(include_deleted=True).one()).trick == "bark"
    assert [told[0] for told in await history(database, Dog, dog.id)] == [
        "created",
        "changed",
        "changed",
        "changed",
        "deleted",
    ]
    told = await history(database, Cat, cat.id)
    assert [one[0] for one in told] == ["created", "changed", "changed"]
    assert told[0][2]["lives"] == {"after": 9}
    assert told[1][2] == {"name": {"before": "Tom", "after": "Thomas"}}
    assert told[2][2] == {"lives": {"before": 9, "after": 8}}
    assert (await cats.get(cat.id)).version == 3


async def test_a_write_to_a_table_of_which_some_are_audited_reaches_all_and_tells_of_those(database: Database) -> None:
    vehicles, cars = BaseDao[Vehicle](database.sessions, Vehicle), BaseDao[Car](database.sessions, Car)
    bike = await vehicles.add(Vehicle(name="bike"))
    car = await cars.add(Car(name="car"))
    async with database.transaction() as tx:
        await tx.session.execute(update(Vehicle).values(name=func.upper(Vehicle.name)))
    async with database.transaction() as tx:
        await tx.session.execute(update(cast("Table", Vehicle.__table__)).values(name="one name"))
    assert {one.name for one in await vehicles.query().all()} == {"one name"}
    assert [told[0] for told in await history(database, Car)] == ["created", "changed", "changed"]
    async with database.transaction() as tx:
        await tx.session.execute(delete(Vehicle))
    assert await vehicles.count().rows() == 0
    assert [told[0] for told in await history(database, Car, car.id)][-1] == "purged"
    assert await history(database, Vehicle, bike.id) == []


async def with_books(database: Database) -> tuple[uuid.UUID, uuid.UUID]:
    """Two authors with three books each, of whom one, and of whose books one each, are deleted."""
    authors, books = BaseDao[Author](database.sessions, Author), BaseDao[Book](database.sessions, Book)
    ids = []
    for name in ("kept", "gone"):
        author = await authors.add(Author(name=name))
        await books.add_many([Book(author_id=author.id, number=n, title=f"{name} {n}") for n in (1, 2, 3)])
        await books.soft_delete((author.id, 2))
        ids.append(author.id)
    await authors.soft_delete(ids[1])
    return ids[0], ids[1]


async def test_what_is_deleted_is_left_out_of_joins_loads_subqueries_and_aliases(database: Database) -> None:
    kept, gone = await with_books(database)
    async with database.sessions(read_only=True) as session:
        for option in (selectinload(Author.books), joinedload(Author.books)):
            found = (await session.scalars(select(Author).options(option))).unique().all()
            assert [(one.id, [book.number for book in one.books]) for one in found] == [(kept, [1, 3])]
            session.expunge_all()
        joined = select(Author).join(Author.books).options(contains_eager(Author.books))
        assert [len(one.books) for one in (await session.scalars(joined)).unique()] == [2]
        session.expunge_all()
        books = (await session.scalars(select(Book).options(joinedload(Book.author)))).all()
        assert {book.author.id if book.author else None for book in books} == {kept, None}
        counted = select(Author.name, func.count(Book.number)).join(Book).group_by(Author.name)
        assert (await session.execute(counted)).all() == [("kept", 2)]
        assert (await session.scalar(select(func.count()).select_from(select(Book.title).subquery()))) == 4
        without = select(Author.name).where(~exists().where(Book.author_id == Author.id, Book.number == 2))
        assert (await session.scalars(without)).all() == ["kept"]
        everybody = select(func.count()).select_from(Author)
        assert await session.scalar(everybody.execution_options(include_deleted=True)) == 2
        assert await session.get(Author, gone) is None
    authors = BaseDao[Author](database.sessions, Author)
    (one,) = await authors.query().options(selectinload(Author.books)).where(Author.books.any(number=1)).all()
    assert len(one.books) == 2
    assert await authors.query().where(Author.books.any(number=2)).exists() is False


async def test_bulk_writes_of_builders_leave_deleted_rows_alone(database: Database) -> None:
    kept, _ = await with_books(database)
    authors, books = BaseDao[Author](database.sessions, Author), BaseDao[Book](database.sessions, Book)
    assert await books.update().eq("author_id", kept).set(title="x").execute() == 2
    assert await books.update(include_deleted=True).eq("author_id", kept).set(title="y").execute() == 3
    assert [book.version for book in await books.query(include_deleted=True).eq("author_id", kept).all()] == [3, 3, 3]
    assert await books.delete().eq("author_id", kept).execute() == 2
    assert await authors.update().all_rows().set(name="only").execute() == 1
    crates = BaseDao[Crate](database.sessions, Crate)
    await crates.add_many([Crate(code=code, content="tea") for code in "ABC"])
    await crates.soft_delete("B")
    assert [crate.code for crate in await crates.update().all_rows().set(content="ink").returning()] == ["A", "C"]
    assert await crates.delete().all_rows().execute() == 2


async def test_a_polymorphic_load_leaves_deleted_ones_out(database: Database) -> None:
    dogs = BaseDao[Any](database.sessions, Dog)
    rex, max_ = await dogs.add(Dog(name="Rex", trick="roll")), await dogs.add(Dog(name="Max", trick="sit"))
    await dogs.soft_delete(rex.id)
    async with database.sessions(read_only=True) as session:
        everything: Any = with_polymorphic(Animal, "*")
        assert [one.id for one in await session.scalars(select(everything))] == [max_.id]
        assert [one.id for one in await session.scalars(select(Dog).where(Dog.trick != "x"))] == [max_.id]


async def test_a_moment_of_deletion_of_the_hosts_own_is_an_ordinary_column(database: Database) -> None:
    await own_deleted_at(BaseDao[Notice](database.sessions, Notice))
    async with database.sessions(read_only=True) as session:
        assert len((await session.scalars(select(Notice))).all()) == 1


async def test_it_is_so_in_the_fakes() -> None:
    await own_deleted_at(InMemoryDao(FakeSessionProvider(), Notice))


async def own_deleted_at(notices: BaseDao[Notice]) -> None:
    await notices.add(Notice(id=1, deleted_at="yesterday"))
    assert (await notices.get(1)).deleted_at == "yesterday"
    assert await notices.count().rows() == 1
    with pytest.raises(TypeError, match="SoftDelete"):
        await notices.soft_delete(1)


async def test_mixins_keys_and_versions_are_alike(database: Database) -> None:
    await alike(*(BaseDao[Any](database.sessions, model) for model in (Author, Book, Crate, Parcel)))


async def test_they_are_so_in_the_fakes() -> None:
    sessions = FakeSessionProvider()
    with acting_as(SYSTEM):
        await alike(*(InMemoryDao[Any](sessions, model) for model in (Author, Book, Crate, Parcel)))


async def alike(authors: BaseDao[Any], books: BaseDao[Any], crates: BaseDao[Any], parcels: BaseDao[Any]) -> None:
    ada = await authors.add(Author(name="Ada"))
    await books.add_many([Book(author_id=ada.id, number=n, title="x") for n in (1, 2)])
    await books.soft_delete((ada.id, 2), version=1)
    assert [book.number for book in await books.query().all()] == [1]
    assert (await books.restore((ada.id, 2))).version == 3
    assert await books.update().eq("number", 1).set(title="y").execute() == 1
    with pytest.raises(StaleVersion):
        await books.purge((ada.id, 1), version=1)
    await crates.add(Crate(code="A", content="tea"))
    assert await crates.update().eq("code", "A").set(content="ink").execute() == 1
    assert (await crates.get("A")).version == 2
    parcel = Parcel()
    parcel.number, parcel.label = 7, "x"
    await parcels.add(parcel)
    await parcels.soft_delete(7)
    assert not await parcels.query().exists()


async def test_an_entry_that_cannot_name_the_record_fails_the_write(database: Database, url: str) -> None:
    trail = AuditTrail()
    assert trail.record_id(Animal, 7) == 7
    await BaseDao[Author](database.sessions, Author).add(Author(name="there"))
    async with Database(url, recorder=trail) as other:
        authors = BaseDao[Author](other.sessions, Author)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: authors.add(Author(name="Ada")),
            lambda: authors.update().eq("name", "there").set(name="changed").execute(),
            lambda: authors.delete().eq("name", "there").execute(),
        ]
        for write in writes:
            with pytest.raises(UnrecordableKey, match="AuditColumns"):
                await write()
        with pytest.raises(TransactionRolledBack):  # caught, it must not be stored without its entry
            async with other.transaction():
                await authors.count().rows()
                with suppress(UnrecordableKey):
                    await authors.add(Author(name="Ada"))
        found = await authors.query(include_deleted=True).all()
        assert [author.name for author in found] == ["there"]


class Refusing(AuditTrail):
    """A recorder that fails once the write was sent, whichever way it was sent."""

    def entry(self, row: Any) -> Any:
        raise LookupError(row)

    def flushed(self, session: Any) -> None:
        raise LookupError

    def stored_in_bulk(self, *_arguments: Any, **_options: Any) -> None:
        raise LookupError

    def executed(self, _session: Any, statement: Any, _parameters: Any, send: Callable[[Any], Any]) -> Any:
        send(statement)
        raise LookupError


async def test_what_a_recorder_refuses_is_not_stored_though_the_error_is_caught(database: Database, url: str) -> None:
    there = await BaseDao[Author](database.sessions, Author).add(Author(name="there"))
    async with Database(url, recorder=Refusing(Change)) as other:
        authors = BaseDao[Author](other.sessions, Author)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: authors.add(Author(name="one")),
            lambda: authors.add_many([Author(name="many")]),
            lambda: authors.add_many([{"name": "mapping"}]),
            lambda: authors.upsert_many([{"id": there.id, "name": "changed"}], on="id", update=["name"]),
            lambda: authors.update().eq("name", "there").set(name="changed").execute(),
            lambda: authors.delete().eq("name", "there").execute(),
            lambda: renamed(other, authors, there.id),
        ]
        for write in writes:
            with pytest.raises(TransactionRolledBack):
                async with other.transaction():
                    await authors.count().rows()
                    with pytest.raises(LookupError):
                        await write()
            with pytest.raises(LookupError):
                await write()
            found = await authors.query(include_deleted=True).all()
            assert [author.name for author in found] == ["there"]


def added(*metadata: MetaData) -> set[str]:
    return set(with_library_tables(*metadata)[-1].tables)


def test_the_librarys_own_tables_come_where_they_are_needed() -> None:
    """No model here has a snowflake id, and the entries are of a class of the host's."""
    assert AuditEntry.metadata is NodeLease.metadata
    assert not {"audit_entries", "node_leases"} & {*Library.metadata.tables, *Depot.metadata.tables}
    assert added(Library.metadata, Depot.metadata) == set()
    assert added(Library.metadata) == {"audit_entries", "node_leases"}  # the class of entries is the other base's
    assert added(MetaData()) == set()
    assert added(NodeLease.metadata) == set()


async def test_a_host_of_another_base_leases_its_node(url: str) -> None:
    class Base(DeclarativeBase):
        pass

    class Ticket(SnowflakeId, Base):
        __tablename__ = "tickets"

    async with Database(url) as database:
        async with database.engine.begin() as connection:
            await connection.run_sync(create_tables, Base.metadata)
        tickets = BaseDao[Ticket](database.sessions, Ticket)
        ticket = await tickets.add(Ticket())
        async with database.sessions(read_only=True) as session:
            assert (await session.scalars(select(NodeLease.node_id))).all() == [ticket.id >> 10 & 0xFFF]
        assert set(Base.metadata.tables) == {"tickets"}
    assert added(Base.metadata) == {"node_leases"}
