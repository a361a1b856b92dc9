"""Any model: its types, its defaults and its constraints hold in memory as they do on a database."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from domain import User
from tests.repositories.accounts import account
from tests.repositories.conformance import Subject, on_all
from tests.repositories.shelves import Book, Genre, Leaf, Shelf
from unitwork import Propagation
from unitwork.errors import (
    CheckViolation,
    ConstraintViolation,
    ForeignKeyViolation,
    NotFound,
    NotNullViolation,
    TransactionRolledBack,
    UniqueViolation,
)
from unitwork.models import SYSTEM, acting_as

pytestmark = on_all


@pytest.fixture
async def shelves(subject: Subject) -> Subject:
    """The subject, with a place for each of the models."""
    await subject.with_shelves()
    for model in (Shelf, Book, Leaf):
        subject.dao(model)
    return subject


async def refusal(subject: Subject, row: Any) -> ConstraintViolation:
    """What storing the row is refused with."""
    with acting_as(SYSTEM), pytest.raises(ConstraintViolation) as raised:
        await subject.dao(type(row)).add(row)
    return raised.value


async def test_what_is_stored_comes_back_as_the_model_has_it(shelves: Subject) -> None:
    values = {
        "title": "Ⅻ 日本",
        "copies": 0,
        "lent": True,
        "price": Decimal("12.50"),
        "genre": Genre.POETRY,
        "printed": date(2024, 2, 29),
        "tags": ["a", {"b": [1, None]}],
    }
    dao = shelves.dao(Book)
    with acting_as(SYSTEM):
        book = await dao.add(Book(**values))
    found = await dao.get(book.id)
    assert {name: getattr(found, name) for name in values} == values
    assert isinstance(found.price, Decimal)
    for name, value in values.items():
        assert await dao.query().scalars(name) == [value]
        if name != "tags":
            assert await dao.query().eq(name, value).exists(), name
            assert not await dao.query().ne(name, value).exists(), name
    assert await dao.query().gt("price", Decimal(12)).lt("price", 13).exists()
    assert await dao.query().where(Book.lent).exists()  # type: ignore[arg-type]  # an attribute is an expression
    assert not await dao.query().where(~Book.lent).exists()
    assert await dao.query().is_null("shelf_id").order_by("genre").scalars("genre") == [Genre.POETRY]


async def test_unset_columns_have_their_defaults_and_none_counts_as_unset(shelves: Subject) -> None:
    with acting_as(SYSTEM):
        book = await shelves.dao(Book).add(Book(title="x", copies=None))
    found = await shelves.dao(Book).get(book.id)
    for one in (book, found):
        assert (one.copies, one.lent, one.genre, one.price, one.tags) == (1, False, Genre.FICTION, None, None)


async def test_what_is_kept_is_not_the_models(shelves: Subject) -> None:
    tags = ["a"]
    with acting_as(SYSTEM):
        book = await shelves.dao(Book).add(Book(title="x", tags=tags))
    tags.append("b")
    found = await shelves.dao(Book).get(book.id)
    assert found.tags == ["a"]
    found.tags.append("c")
    assert (await shelves.dao(Book).get(book.id)).tags == ["a"]


async def test_moments_are_utc_whatever_zone_they_were_given_in(subject: Subject) -> None:
    moment = datetime(2026, 1, 1, 0, 30, 0, 7, tzinfo=timezone(timedelta(hours=2)))
    with acting_as(SYSTEM):
        row = await subject.users.add(account(created_at=moment))
        assert row.created_at is moment, "a model keeps what it was given"
        assert row.updated_at == moment
        with pytest.raises(ValueError, match="naive"):
            await subject.users.add(account("b@example.com", deleted_at=datetime(2026, 1, 1)))  # noqa: DTZ001
        with pytest.raises(LookupError):
            await subject.users.add(account("b@example.com", role="emperor"))
    found = await subject.users.get(row.id)
    assert (found.created_at, found.created_at.tzinfo) == (moment, UTC)
    assert await subject.users.query().eq("created_at", moment).scalars(User.created_at) == [moment]
    assert await subject.names() == [None]


async def test_a_number_the_database_counts(shelves: Subject) -> None:
    with acting_as(SYSTEM):
        book = await shelves.dao(Book).add(Book(title="x"))
        leaves = shelves.dao(Leaf)
        first, second = await leaves.add_many([Leaf(book_id=book.id), Leaf(book_id=book.id, text="b")])
        assert 0 < first.id < second.id
        assert (first.text, second.text) == ("blank", "b")
        await leaves.purge(first.id)
        third = await leaves.add(Leaf(book_id=book.id))
    assert third.id > second.id
    assert (await leaves.get(second.id)).text == "b"
    with pytest.raises(NotFound):
        await leaves.get(first.id)
    assert await leaves.update().eq("id", second.id).set(text="c").execute() == 1
    assert await leaves.query().order_by("-id").scalars("text") == ["blank", "c"]


async def test_a_column_that_needs_a_value(shelves: Subject) -> None:
    error = await refusal(shelves, Book(subtitle="x"))
    assert (type(error), error.columns) == (NotNullViolation, ("title",))
    with acting_as(SYSTEM):
        await shelves.dao(Book).add(Book(title="x"))
        with pytest.raises(NotNullViolation):
            await shelves.dao(Book).update().all_rows().set(title=None).execute()
    assert await shelves.dao(Book).query().scalars("title") == ["x"]


async def test_a_check(shelves: Subject) -> None:
    for book in (Book(title="x", copies=-1), Book(title="", price=1)):
        error = await refusal(shelves, book)
        assert type(error) is CheckViolation
        assert shelves.backend == "sqlite" or error.constraint == "ck_books_sense"
    error = await refusal(shelves, User())
    assert type(error) is CheckViolation
    with acting_as(SYSTEM):
        await shelves.dao(Book).add(Book(title="", copies=0))
        with pytest.raises(CheckViolation):
            await shelves.dao(Book).update().all_rows().increment("copies", -1).execute()
    assert await shelves.dao(Book).query().scalars("copies") == [0]


async def test_a_key_of_several_columns_one_column_and_some_rows(shelves: Subject) -> None:
    dao = shelves.dao(Shelf)
    with acting_as(SYSTEM):
        first = await dao.add(Shelf(room="hall", place=1, label="A"))
        await dao.add_many([Shelf(room="hall", place=2), Shelf(room="hall"), Shelf(room="hall"), Shelf()])
        error = await refusal(shelves, Shelf(room="hall", place=1))
        assert (type(error), error.columns) == (UniqueViolation, ("room", "place"))
        error = await refusal(shelves, Shelf(label="A"))
        assert (type(error), error.columns) == (UniqueViolation, ("label",))
        assert shelves.backend == "sqlite" or error.constraint == "ix_shelves_label_kept"
        if shelves.backend == "mariadb":  # its index can't be over some rows
            return
        await dao.soft_delete(first.id)
        second = await dao.add(Shelf(label="A"))
        with pytest.raises(UniqueViolation):
            await dao.restore(first.id)
        await dao.purge(second.id)
        await dao.restore(first.id)
        await shelves.dao(Book).add(Book(title="x", isbn="1"))
        assert (await refusal(shelves, Book(title="y", isbn="1"))).columns == ("isbn",)


async def test_a_key_is_free_again_once_its_row_has_changed_or_gone(shelves: Subject) -> None:
    dao = shelves.dao(Shelf)
    with acting_as(SYSTEM):
        async with shelves.transaction():
            first = await dao.add(Shelf(label="A"))
            first.label = "B"
            second = await dao.add(Shelf(label="A"))
            await dao.purge(second.id)
            await dao.add(Shelf(label="A"))
            with pytest.raises(UniqueViolation):
                async with shelves.transaction(Propagation.NESTED):
                    first.label = "A"
                    await dao.flush()
            await dao.update().eq("label", "A").set(label="C").execute()
            await dao.add(Shelf(label="A"))
    assert await dao.query().scalars("label") == ["B", "C", "A"]


async def test_a_reference_to_a_row_that_is_not_there(shelves: Subject) -> None:
    error = await refusal(shelves, Book(title="x", shelf_id=1))
    assert type(error) is ForeignKeyViolation
    if shelves.backend != "sqlite":
        assert (error.constraint, error.columns) == ("fk_books_shelf_id", ("shelf_id",))
    with acting_as(SYSTEM):
        book = await shelves.dao(Book).add(Book(title="x"))
        with pytest.raises(ForeignKeyViolation):
            await shelves.dao(Book).update().eq("id", book.id).set(shelf_id=1).execute()
        with pytest.raises(TransactionRolledBack):
            async with shelves.transaction():
                (await shelves.dao(Book).get(book.id)).shelf_id = 1
                with pytest.raises(ForeignKeyViolation):
                    await shelves.dao(Book).flush()
    assert await shelves.dao(Book).query().scalars("shelf_id") == [None]


async def test_what_becomes_of_rows_that_refer_to_a_purged_one(shelves: Subject) -> None:
    with acting_as(SYSTEM):
        shelf = await shelves.dao(Shelf).add(Shelf())
        book = await shelves.dao(Book).add(Book(title="x", shelf_id=shelf.id))
        leaf = await shelves.dao(Leaf).add(Leaf(book_id=book.id))
        await shelves.dao(Shelf).purge(shelf.id)
        assert (await shelves.dao(Book).get(book.id)).shelf_id is None
        assert (await shelves.dao(Book).get(book.id)).version == 1, "it is the database's doing"
        with pytest.raises(ForeignKeyViolation) as raised:
            await shelves.dao(Book).purge(book.id)
        if shelves.backend != "sqlite":
            assert (raised.value.constraint, raised.value.columns) == ("fk_leaves_book_id", ("id",))
        await shelves.dao(Leaf).purge(leaf.id)
        await shelves.dao(Book).purge(book.id)
    assert await shelves.dao(Book).count(include_deleted=True).rows() == 0


async def test_versions_and_pages_are_any_models(shelves: Subject) -> None:
    dao = shelves.dao(Book)
    with acting_as(SYSTEM):
        books = await dao.add_many([Book(title=f"{number}", price=Decimal(number % 3)) for number in range(7)])
        assert (await dao.soft_delete(books[3].id, version=1)).version == 2
    query = dao.query().order_by("-price", "title")
    first = await query.after(None, 4)
    second = await query.after(first.next_cursor, 4)
    assert [book.title for book in (*first.items, *second.items)] == ["2", "5", "1", "4", "0", "6"]
    assert not second.has_more
