"""Bulk inserts on real databases: COPY, what it costs, and that it is part of its transaction."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, func

from containers import Container
from domain import User
from tests.repositories.shelves import Book, Genre, Leaf, ShelfBase
from unitwork import Propagation
from unitwork.audit.entry import AuditAction
from unitwork.dao import BaseDao
from unitwork.errors import DriverError, ForeignKeyViolation, ReadOnlyTransaction, UniqueViolation
from unitwork.models import SYSTEM
from unitwork.models.utc_datetime import utc_now

ROWS = 2_500
"""More than one chunk."""
only_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
pytestmark = pytest.mark.usefixtures("acting")
CANARY = "canary-7Q"


def mappings(count: int, start: int = 0, **values: Any) -> Iterator[dict[str, Any]]:
    for number in range(start, start + count):
        address = f"user{number}@example.com"
        yield {"email": address, "email_key": address, **values}


class Sent:
    """The first words of what was sent to the database."""

    def __init__(self, container: Container) -> None:
        self.words: list[str] = []
        event.listen(container.engine().sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.words.append(" ".join(statement.split()[:3]))

    def copies(self) -> int:
        return sum(words.startswith("COPY") for words in self.words)


async def test_any_number_of_rows_is_stored_with_ids_and_stamps(container: Container, backend: str) -> None:
    """Trap 18: one giant statement met the limit of bind parameters."""
    sent, dao = Sent(container), container.user_dao()
    assert await dao.add_many(mappings(ROWS)) == ROWS
    assert sent.copies() == (1 if backend == "postgresql" else 0)
    assert await dao.count().rows() == ROWS
    assert await dao.count().distinct("id") == ROWS
    rows = await dao.query().limit(10).all()
    assert [row.email for row in rows] == [f"user{number}@example.com" for number in range(10)], (
        "ids rise with the rows"
    )
    assert {(row.version, row.created_by, row.updated_by) for row in rows} == {(1, SYSTEM, SYSTEM)}
    assert all(row.created_at == row.updated_at for row in rows)


async def test_models_of_any_number_have_their_ids_and_belong_to_the_transaction(container: Container) -> None:
    dao = container.user_dao()
    models = [User(**values) for values in mappings(1_500)]
    async with container.transaction()() as tx:
        assert await dao.add_many(models) is models
        assert all(model in tx.session for model in models)
        assert not tx.session.new
        assert not tx.session.dirty
        models[7].display_name = "changed"
    assert (models[7].version, models[8].version) == (2, 1)
    assert (await dao.get(models[7].id)).display_name == "changed"
    assert len({model.id for model in models}) == 1_500


async def test_models_stored_by_copy_are_new_again_when_that_is_rolled_back(container: Container) -> None:
    dao = container.user_dao()
    models = [User(**values) for values in mappings(1_200)]
    async with container.transaction()() as tx:
        with pytest.raises(ZeroDivisionError):
            async with container.transaction()(Propagation.NESTED):
                await dao.add_many(models)
                raise ZeroDivisionError
        assert models[0] not in tx.session
        assert models[0].email == "user0@example.com"
    assert await dao.count().rows() == 0
    await dao.add_many(models)
    assert await dao.count().rows() == 1_200


async def test_a_bulk_insert_as_the_first_thing_of_a_transaction_that_rolls_back_stores_nothing(
    container: Container,
) -> None:
    for first in (True, False):
        with pytest.raises(ZeroDivisionError):
            async with container.transaction()():
                if not first:
                    await container.user_dao().count().rows()
                await container.user_dao().add_many(mappings(ROWS))
                assert await container.user_dao().count().rows() == ROWS
                raise ZeroDivisionError
        assert await container.user_dao().count().rows() == 0


@pytest.mark.database("own")
async def test_a_bulk_insert_of_the_first_commit_is_seen_by_nobody_before_it(container: Container) -> None:
    async def beside() -> int:
        return await container.user_dao().count().rows()

    async with container.transaction()():
        await container.user_dao().add_many(mappings(ROWS))
        if container.engine().dialect.name != "sqlite":
            async with container.transaction()(Propagation.NOT_SUPPORTED, read_only=True):
                assert await beside() == 0
    assert await beside() == ROWS


async def test_a_row_that_breaks_a_constraint_takes_all_along_and_is_named(container: Container, backend: str) -> None:
    dao = container.user_dao()
    with pytest.raises(UniqueViolation) as raised:
        await dao.add_many([*mappings(1_500), *mappings(1)])
    assert raised.value.columns == ("email_key",)
    assert raised.value.constraint == (None if backend == "sqlite" else "uq_users_email_key")
    assert await dao.count().rows() == 0
    with pytest.raises(ForeignKeyViolation):
        await container.token_dao().add_many(
            {"user_id": 7, "digest": f"{number}", "expires_at": utc_now()} for number in range(1_100)
        )


async def test_an_error_in_a_nested_block_dooms_that_block_alone(container: Container) -> None:
    dao = container.user_dao()
    async with container.transaction()():
        await dao.add_many(mappings(3, 5_000))
        with pytest.raises(UniqueViolation):
            async with container.transaction()(Propagation.NESTED):
                await dao.add_many([*mappings(1_500), *mappings(1)])
        await dao.add_many(mappings(3, 6_000))
    assert await dao.count().rows() == 6


async def test_what_is_pending_is_stored_before_it(container: Container) -> None:
    async with container.transaction()() as tx:
        user = User(email="a", email_key="a")
        tx.session.add(user)
        values = {"expires_at": utc_now()}
        await tx.session.flush()
        await container.token_dao().add_many(
            {"user_id": user.id, "digest": f"{number}", **values} for number in range(1_100)
        )
        tx.session.add(User(email="b", email_key="b"))
        with pytest.raises(UniqueViolation):
            async with container.transaction()(Propagation.NESTED):
                await container.user_dao().add_many([*mappings(1_100), {"email": "b", "email_key": "b"}])
    assert await container.token_dao().count().rows() == 1_100


@only_postgresql
async def test_no_value_is_told_by_an_error_of_a_copy(container: Container) -> None:
    for wrong in ({"version": CANARY}, {"display_name": f"{CANARY}\0"}, {"display_name": CANARY * 40}):
        with pytest.raises(DriverError) as raised:
            await container.user_dao().add_many([*mappings(1_100), {"email": "x", "email_key": "x", **wrong}])
        assert CANARY not in f"{raised.value!s} {raised.value!r} {raised.value.__cause__!r}"
    assert await container.user_dao().count().rows() == 0


@only_postgresql
async def test_a_copy_in_a_block_that_reads_only_is_refused(container: Container) -> None:
    for outer in (True, False):
        with pytest.raises(ReadOnlyTransaction):
            async with container.transaction()(read_only=outer), container.transaction()(read_only=True):
                await container.user_dao().add_many(mappings(1_100))
    assert await container.user_dao().count().rows() == 0


@pytest.mark.database("own")
@only_postgresql
async def test_a_copy_that_is_cancelled_anywhere_leaves_nothing_and_no_connection_behind(container: Container) -> None:
    dao = container.user_dao()
    await dao.add_many(mappings(1, 90_000))
    stored = 1
    for step in range(24):
        task = asyncio.create_task(dao.add_many(mappings(1_500, step * 2_000)))
        await asyncio.sleep(step**2 / 2_000)  # up to longer than the whole takes
        task.cancel()
        await asyncio.wait((task,))
        found = await dao.count().rows()
        # A cancellation that comes during COMMIT is passed on when that is through.
        assert found - stored in ({0, 1_500} if task.cancelled() else {1_500})
        stored = found
        assert container.schema().connections_in_use == 0


@pytest.mark.database("own")
@only_postgresql
async def test_a_copy_that_waits_for_a_lock_is_broken_off_after_the_grace(container: Container) -> None:
    dao = container.user_dao()
    async with container.transaction()():
        await dao.add_many(mappings(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                async with container.transaction()(Propagation.REQUIRES_NEW):
                    await dao.add_many(mappings(1_500))
    assert await dao.count().rows() == 1
    assert container.schema().connections_in_use == 0


async def test_values_of_every_type_are_stored_as_a_flush_stores_them(container: Container) -> None:
    async with container.engine().begin() as connection:
        await connection.run_sync(ShelfBase.metadata.create_all)
    dao = BaseDao(container.session_provider(), Book)
    values: dict[str, Any] = {
        "title": "t",
        "price": "7.25",
        "genre": Genre.POETRY,
        "tags": ["ü", 1, None],
        "lent": True,
    }
    await dao.add_many(values if number % 2 else {"title": f"{number}"} for number in range(1_200))
    with_values = await dao.query().eq("title", "t").first()
    assert with_values is not None
    assert (str(with_values.price), with_values.genre, with_values.tags, with_values.lent) == (
        "7.25",
        Genre.POETRY,
        ["ü", 1, None],
        True,
    )
    without = await dao.query().eq("title", "0").one()
    assert (without.copies, without.price, without.genre, without.tags) == (1, None, Genre.FICTION, None)
    leaves = BaseDao(container.session_provider(), Leaf)
    sent = Sent(container)
    assert await leaves.add_many({"book_id": without.id} for _ in range(1_100)) == 1_100
    assert sent.copies() == 0, "their numbers are the database's to give"
    models = [Leaf(book_id=without.id) for _ in range(1_100)]
    await leaves.add_many(models)
    assert len({leaf.id for leaf in models}) == 1_100
    await dao.add_many({"title": func.upper("upper") if number == 7 else "x"} for number in range(1_100))
    assert await dao.query().eq("title", "UPPER").exists()


async def test_rows_stored_in_bulk_are_recorded_by_their_number(container: Container) -> None:
    await container.user_dao().add_many(mappings(ROWS))
    await container.user_dao().upsert_many(mappings(3, display_name="x"), on="email_key")
    entries = [entry for entry in await container.audit_dao().query().all() if entry.record_type == "users"]
    assert {entry.record_id for entry in entries} == {None}
    assert sum(entry.row_count or 0 for entry in entries if entry.action is AuditAction.CREATED) == ROWS
    assert [entry.row_count for entry in entries if entry.action is AuditAction.CHANGED] == [3]
    assert dict(entries[-1].changes) == {"display_name": {}, "email": {}}


async def test_memory_stays_the_same_however_many_rows_there_are(container: Container) -> None:
    async def peak(rows: int, start: int) -> int:
        tracemalloc.start()
        try:
            await container.user_dao().add_many(mappings(rows, start))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(1_000, 0)
    few = await peak(6_000, 10_000)
    many = await peak(18_000, 100_000)
    assert many < few * 1.5
