"""An operation of a DAO outside a transaction is one statement, sent without a session, and gives what one gives."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import MetaData, event, inspect
from sqlalchemy.orm import Mapped, Session, mapped_column

from containers import Container
from domain import User, UserStatus
from repositories import UserDao
from tests.repositories.accounts import store_named
from tests.repositories.shelves import Book, Genre, Shelf, ShelfBase
from unitwork import Propagation
from unitwork.dao import BaseDao, Query
from unitwork.errors import CheckViolation, SessionBelongsToAnotherTask, StaleVersion
from unitwork.models import Base
from unitwork.rows.columns import column_keys
from unitwork.rows.instances import instance_plan

pytestmark = pytest.mark.usefixtures("acting")


@pytest.fixture
def sessions(container: Container) -> Iterator[list[Session]]:
    """Those that executed something."""
    used: list[Session] = []

    def note(state: object) -> None:
        used.append(state.session)  # type: ignore[attr-defined]  # an ORMExecuteState

    event.listen(Session, "do_orm_execute", note)
    yield used
    event.remove(Session, "do_orm_execute", note)


async def test_reads_take_no_session(container: Container, sessions: list[Session]) -> None:
    [ann, ben] = await store_named(container, "Ann", "Ben")
    users = container.user_dao()
    sessions.clear()
    assert (await users.get(ann.id)).display_name == "Ann"
    assert await users.get_or_none(1) is None
    assert [user.display_name for user in await users.query().order_by("-display_name").all()] == ["Ben", "Ann"]
    assert (await users.query().eq("display_name", "Ben").one()).id == ben.id
    assert await users.query().contains("display_name", "nn").exists()
    assert await users.query().scalars(User.display_name) == ["Ann", "Ben"]
    assert await users.count().rows() == 2
    page = await users.query().after(None, 1)
    assert [user.id for user in page.items] == [ann.id]
    assert sessions == []


def test_a_row_gives_a_model_its_whole_identity_and_what_stands_behind_is_passed_over() -> None:
    class Lending(Base):
        __tablename__ = "lendings"
        metadata = MetaData()

        reader: Mapped[int] = mapped_column(primary_key=True)
        until: Mapped[str]
        book: Mapped[int] = mapped_column(primary_key=True)

    plan = instance_plan(Lending)
    assert plan is not None
    [read] = plan.instances([(*({"reader": 3, "until": "May", "book": 7}[key] for key in plan.keys), "a total")])
    assert (read.reader, read.until, read.book) == (3, "May", 7)
    assert inspect(read).identity_key == inspect(Lending).identity_key_from_primary_key((3, 7))
    assert inspect(read).detached
    assert not inspect(read).modified


async def test_what_is_read_is_what_a_session_reads(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    alone = await users.get(ann.id)
    async with container.transaction()(read_only=True):
        beside = await users.get(ann.id)
    for key in column_keys(User):
        assert getattr(alone, key) == getattr(beside, key)
        assert type(getattr(alone, key)) is type(getattr(beside, key))
    state = inspect(alone)
    assert state.detached
    assert not state.modified
    assert state.identity == (ann.id,)


async def test_what_is_read_can_be_changed_in_a_transaction(container: Container) -> None:
    [ann] = await store_named(container, "Ann")
    users = container.user_dao()
    alone = await users.get(ann.id)
    async with container.transaction()() as tx:
        tx.session.add(alone)
        alone.display_name = "Anna"
    assert alone.version == 2
    merged = await users.get(ann.id)
    assert merged.display_name == "Anna"
    async with container.transaction()() as tx:
        again = await tx.session.merge(merged)
        again.display_name = "Annabel"
    assert (await users.get(ann.id)).version == 3


async def test_a_dao_that_narrows_its_query_narrows_get(container: Container) -> None:
    class ActiveUsers(UserDao):
        def query(self, *, include_deleted: bool = False) -> Query[User]:
            return super().query(include_deleted=include_deleted).eq("status", UserStatus.ACTIVE)

    [ann, ben] = await store_named(container, "Ann", "Ben")
    await container.user_dao().update().eq("id", ben.id).set(status=UserStatus.SUSPENDED).execute()
    active = ActiveUsers(container.session_provider())
    assert await active.get_or_none(ann.id) is not None
    assert await active.get_or_none(ben.id) is None


async def test_in_a_block_of_any_kind_the_blocks_session_is_taken(
    container: Container, sessions: list[Session]
) -> None:
    [ann] = await store_named(container, "Ann")
    users, transaction = container.user_dao(), container.transaction()
    sessions.clear()
    async with transaction() as tx:
        await users.get(ann.id)
    async with transaction(Propagation.NOT_SUPPORTED) as bare:
        await users.get(ann.id)
    async with container.session_provider()() as session:
        await users.get(ann.id)
    assert sessions == [block.sync_session for block in (tx.session, bare.session, session)]


async def test_a_task_inside_a_transaction_is_refused_as_ever(container: Container) -> None:
    users = container.user_dao()
    async with container.transaction()():
        with pytest.raises(SessionBelongsToAnotherTask):
            await asyncio.create_task(users.count().rows())


def test_models_that_load_relationships_along_are_left_to_sessions() -> None:
    assert instance_plan(User) is not None
    assert instance_plan(Shelf) is not None

    def loaded(_row: object, _context: object) -> None:
        """Somebody wants to know of each load."""

    event.listen(Shelf, "load", loaded)
    try:
        assert instance_plan(Shelf) is None
    finally:
        event.remove(Shelf, "load", loaded)


@pytest.fixture
async def books(container: Container) -> BaseDao[Book]:
    """A DAO of a model without an audit trail."""
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
    return BaseDao(container.session_provider(), Book)


async def test_writes_take_no_session(books: BaseDao[Book], sessions: list[Session], backend: str) -> None:
    await books.add_many([Book(title="One"), Book(title="Two", genre=Genre.POETRY)])
    sessions.clear()
    [one] = await books.update().eq("title", "One").set(subtitle="The first").increment("copies", 2).returning()
    assert (one.title, one.subtitle, one.copies, one.version, one.genre) == ("One", "The first", 3, 2, Genre.FICTION)
    assert one.updated_at > one.created_at
    assert await books.update().in_("title", ["One", "Two"]).set(genre=Genre.POETRY, subtitle=None).execute() == 2
    assert {(book.subtitle, book.genre) for book in await books.query().all()} == {(None, Genre.POETRY)}
    assert await books.delete().eq("title", "Two").execute() == 1
    [gone] = await books.delete().eq("title", "One").returning()
    assert gone.id == one.id
    assert await books.count(include_deleted=True).rows() == 0
    assert sessions == [] or backend == "mariadb", "which returns no rows of an UPDATE"


async def test_writes_keep_their_rules(books: BaseDao[Book]) -> None:
    book = await books.add(Book(title="One"))
    assert await books.update().eq("id", book.id).eq("version", 1).set(copies=5).execute() == 1
    with pytest.raises(StaleVersion):
        await books.update().eq("id", book.id).eq("version", 1).set(copies=6).execute()
    with pytest.raises(StaleVersion):
        await books.update().eq("id", book.id).eq("version", 1).set(copies=6).returning()
    with pytest.raises(CheckViolation):
        await books.update().eq("id", book.id).set(copies=-1).execute()
    await books.soft_delete(book.id)
    assert await books.update().eq("id", book.id).set(copies=7).execute() == 0
    assert [
        row.copies for row in await books.update(include_deleted=True).eq("id", book.id).set(copies=7).returning()
    ] == [7]


async def test_expressions_take_a_session(books: BaseDao[Book], sessions: list[Session]) -> None:
    await books.add(Book(title="One"))
    sessions.clear()
    assert await books.update().where(Book.copies > 0).set(copies=Book.copies * 3).execute() == 1
    assert len(sessions) == 1
    assert await books.query().scalars(Book.copies) == [3]
