"""The fakes by themselves: what they promise besides what a database does."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import ARRAY, CheckConstraint, Index, Integer, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from containers import Container, running
from domain import Token, User
from settings import Settings
from tests.fakes import InMemoryUsers, over_fakes
from tests.repositories.accounts import account
from tests.repositories.shelves import Book
from tests.test_architecture import importing
from unitwork import Outcome, Propagation, TransactionProvider, current_transaction
from unitwork.connections.lifetime import Lifetime
from unitwork.errors import CheckViolation, SecondStatement, UniqueViolation
from unitwork.ids.leased_ids import LeasedIds
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSession, FakeSessionProvider, InMemoryDao
from unitwork.testing.fakes.rows.values import loaded, stored

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sessions() -> FakeSessionProvider:
    return FakeSessionProvider()


@pytest.fixture
def users(sessions: FakeSessionProvider) -> InMemoryUsers:
    return InMemoryUsers(sessions)


def names(sessions: FakeSessionProvider) -> list[str | None]:
    return [user.display_name for user in sessions.committed(User)]


async def test_the_provider_tells_how_transactions_ended_and_what_is_committed(
    sessions: FakeSessionProvider, users: InMemoryUsers
) -> None:
    transaction = TransactionProvider(sessions)
    with acting_as(SYSTEM):
        async with transaction():
            row = await users.add(account(display_name="a"))
            assert (names(sessions), sessions.open, sessions.outcomes) == ([], 1, ())
        with pytest.raises(UniqueViolation):
            await users.add(account())
        assert await users.query().all()
        await users.update().eq("id", row.id).set(display_name="b").execute()
    assert sessions.outcomes == (Outcome.COMMITTED, Outcome.ROLLED_BACK), "a lone statement is no transaction"
    assert sessions.open == 0
    (committed,) = sessions.committed(User)
    assert (committed.id, committed.version, committed.display_name) == (row.id, 2, "b")
    committed.display_name = "c"
    assert names(sessions) == ["b"]
    assert sessions.committed(Token) == []


async def test_two_providers_share_nothing_and_two_daos_of_one_share_their_rows(sessions: FakeSessionProvider) -> None:
    with acting_as(SYSTEM):
        row = await InMemoryDao(sessions, User).add(account())
    assert (await InMemoryUsers(sessions).get(row.id)).email == row.email
    assert await InMemoryUsers(FakeSessionProvider()).count().rows() == 0


async def test_a_model_that_no_dao_was_built_for_is_referred_to_freely(sessions: FakeSessionProvider) -> None:
    with acting_as(SYSTEM):
        await InMemoryDao(sessions, Book).add(Book(title="x", shelf_id=5))
    assert [book.shelf_id for book in sessions.committed(Book)] == [5]


async def test_ids_are_of_the_given_generator() -> None:
    sessions = FakeSessionProvider(LeasedIds(77, Lifetime()))
    with acting_as(SYSTEM):
        row = await InMemoryUsers(sessions).add(account())
    assert row.id >> 10 & 0xFFF == 77


class Plain(DeclarativeBase):
    """Models of no database."""


class Odd(Plain):
    __tablename__ = "odd"
    __table_args__ = (
        CheckConstraint("name ~ '^a'", name="known to PostgreSQL alone"),
        CheckConstraint('length(name) < 5 AND "size" > 0', name="known to SQLite"),
        Index("by_length", text("length(name)"), unique=True),
        Index("by_pattern", text("substring(name FROM 'x')"), unique=True),
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column("size", default=1)


async def test_sql_in_a_tables_definition_counts_where_it_is_known(sessions: FakeSessionProvider) -> None:
    async with TransactionProvider(sessions)() as tx:
        for odd, refused in (
            (Odd(name="xyz"), None),
            (Odd(name="abcdef"), CheckViolation),
            (Odd(name="ab", size=0), CheckViolation),
            (Odd(name="abc"), UniqueViolation),
            (Odd(name="ab"), None),
        ):
            with nullcontext() if refused is None else pytest.raises(refused) as raised:
                async with tx.session.begin_nested():
                    tx.session.add(odd)
            if raised is not None:
                assert raised.value.constraint in {"known to SQLite", "by_length"}
    assert [odd.name for odd in sessions.committed(Odd)] == ["ab", "xyz"]


def test_what_can_be_changed_is_copied_both_ways() -> None:
    numbers = [1]
    kept = stored(ARRAY(Integer), numbers)
    given = loaded(ARRAY(Integer), kept)
    assert numbers == kept == given
    assert len({id(numbers), id(kept), id(given)}) == 3


async def test_a_session_for_one_statement_takes_no_second(users: InMemoryUsers) -> None:
    async with users._sessions.writing() as session:
        assert isinstance(session, FakeSession)
        assert await users.query().rows(session) == []
        with pytest.raises(SecondStatement):
            await users.query().rows(session)


async def test_a_callable_around_the_provider_is_a_session_provider_too(sessions: FakeSessionProvider) -> None:
    entered = 0

    @asynccontextmanager
    async def counting(*, autoflush: bool = True, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        nonlocal entered
        entered += 1
        async with sessions(autoflush=autoflush, read_only=read_only) as session:
            yield session

    container, users = Container(settings=Settings()), InMemoryUsers(counting)
    container.session_provider.override(counting)
    with acting_as(SYSTEM):
        async with container.transaction()() as tx:
            id_ = (await users.add(account(display_name="kept"))).id
            with pytest.raises(LookupError):
                async with container.transaction()(Propagation.NESTED):
                    await users.soft_delete(id_)
                    raise LookupError
            assert current_transaction() is tx
        with pytest.raises(LookupError):
            async with container.transaction()():
                await users.purge(id_)
                raise LookupError
        assert await users.query().scalars("display_name") == ["kept"]
    assert entered == 3


async def test_a_container_over_memory_runs_and_opens_nothing() -> None:
    container, sessions = over_fakes()
    async with running(container):
        with acting_as(SYSTEM):
            user = await container.user_service().create({"email": "ada@example.com"})
            _, secret = await container.auth_service().issue(user.id)
            assert (await container.auth_service().authenticate(secret)).id == user.id
        page = await container.user_service().list(include_total=True)
        assert (page.total, [one.id for one in page.items]) == (1, [user.id])
        assert container.schema().connections_in_use == 0
    assert sessions.open == 0


def test_a_store_outlives_its_event_loop() -> None:
    sessions = FakeSessionProvider()

    async def add(name: str) -> None:
        with acting_as(SYSTEM):
            await InMemoryUsers(sessions).add(account(f"{name}@example.com", display_name=name))

    for name in "ab":
        asyncio.run(add(name))
    assert names(sessions) == ["a", "b"]


def test_the_room_is_entered_without_its_fakes() -> None:
    program = "import sys, repositories; print([name for name in sys.modules if 'testing' in name or name == 'pytest'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "unitwork.testing.fakes" not in done.stdout
    assert "pytest" not in done.stdout.replace("unittest", "")
    rooms = ("app", "containers.py", "database", "domain", "migrations", "services", "settings")
    assert importing("unitwork.testing.fakes", *rooms) == []
