"""What the fakes refuse: rather no answer than a wrong one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, Integer, case, cast, exists, func, literal_column, select, text
from sqlalchemy.orm import Mapped, aliased, mapped_column, relationship

from containers import Container
from domain import Token, User
from repositories import UserDao
from tests.fakes import InMemoryUsers
from tests.repositories.accounts import account
from tests.repositories.shelves import ShelfBase
from unitwork import TransactionProvider
from unitwork.dao import BaseDao
from unitwork.errors import RelationshipNotLoaded
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.fakes import FakeSessionProvider, InMemoryDao, NotAFakeSession, NotFaked
from unitwork.testing.fakes.query import InMemoryQuery

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sessions() -> FakeSessionProvider:
    return FakeSessionProvider()


@pytest.fixture
def users(sessions: FakeSessionProvider) -> InMemoryUsers:
    return InMemoryUsers(sessions)


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (func.lower(User.email) == "x", "lower(users.email)"),
        (User.id == select(User.id).scalar_subquery(), "SELECT users.id"),
        (User.id.in_(select(Token.user_id)), "SELECT tokens.user_id"),
        (exists(select(Token).where(Token.user_id == User.id)), "EXISTS"),
        (text("1 = 1"), "1 = 1"),
        (case((User.id == 1, True), else_=False), "CASE"),
        (cast(User.id, Integer) == 1, "CAST"),
        (User.email.ilike("x"), "lower(users.email)"),
        (User.email.regexp_match("x"), "<regexp>"),
        (User.id / 2 == 1, "users.id / "),
        (User.id % 2 == 1, "users.id % "),
        (Token.user_id == 1, "not users'"),
        (aliased(User).id == 1, "not users'"),
        (literal_column("something") == 1, "something"),
        (User.email.collate("C") == "x", "COLLATE"),
        (User.id.between(1, 2, symmetric=True), "SYMMETRIC"),
    ],
)
async def test_what_memory_cannot_know_is_refused_by_name_whatever_the_rows_are(
    users: InMemoryUsers, expression: Any, named: str
) -> None:
    for ask in (users.query().where(expression).all, users.count().where(expression).rows):
        with pytest.raises(NotFaked) as raised:
            await ask()
        assert named in raised.value.construct
        assert "this test needs a database" in str(raised.value)
    with acting_as(SYSTEM), pytest.raises(NotFaked):
        await users.update().where(expression).set(display_name="x").execute()
    with acting_as(SYSTEM), pytest.raises(NotFaked):
        await users.update().eq("id", 1).set(display_name=func.lower(User.display_name)).execute()


async def test_values_of_two_kinds_are_not_compared(users: InMemoryUsers) -> None:
    with acting_as(SYSTEM):
        await users.add(account())
    for query in (users.query().eq("id", "1"), users.query().gt("email", 1)):
        with pytest.raises(NotFaked, match="comparing"):
            await query.all()


async def test_like_minds_case_and_takes_the_backslash_as_postgresql_does(users: InMemoryUsers) -> None:
    with acting_as(SYSTEM):
        await users.add_many([account(f"{number}@b.c", display_name=name) for number, name in enumerate(["A%", "ab"])])
    assert await users.query().like("display_name", "a%").scalars("display_name") == ["ab"]
    assert await users.query().like("display_name", r"A\%").scalars("display_name") == ["A%"]
    assert await users.query().contains("display_name", "B").all() == []
    with pytest.raises(NotFaked, match="escape"):
        await users.query().like("display_name", "a\\").all()


async def test_a_statement_on_a_fake_session_says_what_to_do(sessions: FakeSessionProvider) -> None:
    async with TransactionProvider(sessions)() as tx:
        for ask in (
            lambda: tx.session.execute(select(User)),
            lambda: tx.session.scalar(text("SELECT 1")),
            lambda: tx.session.stream(select(User)),
            lambda: tx.session.get(User, 1),
            lambda: tx.session.connection(),
            lambda: UserDao(sessions).get(1),
            lambda: BaseDao(sessions, Token).update().eq("id", 1).set(digest="x").execute(),
        ):
            with pytest.raises(NotFaked, match="override the DAO") as raised:
                await ask()
        assert "UPDATE tokens" in raised.value.construct


async def test_an_in_memory_dao_over_a_database_is_refused(container: Container) -> None:
    users = InMemoryUsers(container.session_provider())
    with acting_as(SYSTEM):
        for ask in (users.query().all, users.count().rows, lambda: users.add(account()), users.flush):
            with pytest.raises(NotAFakeSession, match="FakeSessionProvider"):
                await ask()
        with pytest.raises(NotAFakeSession):
            await users.update().all_rows().set(display_name="x").execute()
    assert await container.user_dao().count().rows() == 0


class Animal(ShelfBase):
    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


class Owner(ShelfBase):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[str] = mapped_column(server_default="now")
    pets: Mapped[list["Pet"]] = relationship()


class Pet(ShelfBase):
    __tablename__ = "pets"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))


async def test_models_that_are_more_than_their_row_are_refused_where_they_are(sessions: FakeSessionProvider) -> None:
    with pytest.raises(NotFaked, match="Animal"):
        InMemoryDao(sessions, Animal)
    owners = InMemoryDao(sessions, Owner)
    with pytest.raises(NotFaked, match=r"server default of owners\.since"):
        await owners.add(Owner())
    with pytest.raises(NotFaked, match=r"Owner\.pets"):
        await owners.add(Owner(since="x", pets=[Pet()]))
    await owners.add(Owner(since="x"))
    async with TransactionProvider(sessions)():
        owner = await owners.query().one()
        with pytest.raises(RelationshipNotLoaded, match=r"selectinload\(Owner\.pets\)"):
            _ = owner.pets
    with pytest.raises(NotFaked, match="primary key"):
        await owners.update().all_rows().set(id=5).execute()


@dataclass(frozen=True)
class LearnedQuery(InMemoryQuery[User]):
    """As a query is that has learned a word, and its fake hasn't."""

    tenant: str | None = None


async def test_a_word_that_a_builder_has_learned_is_refused_until_memory_knows_it(users: InMemoryUsers) -> None:
    query = users.query()
    learned = LearnedQuery(User, sessions=query.sessions, cursors=query.cursors)
    assert await learned.all() == []
    with pytest.raises(NotFaked, match="tenant"):
        await LearnedQuery(User, sessions=query.sessions, cursors=query.cursors, tenant="a").all()
