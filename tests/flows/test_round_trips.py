"""How often a request goes to PostgreSQL and back, counted by a relay in between, on a warm connection."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from sqlalchemy import make_url

from containers import Container, running
from domain import User
from settings import Settings
from tests.faults.relay import Relay
from tests.repositories.shelves import Book, ShelfBase
from unitwork.dao import BaseDao
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
WARM = 3


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    server = make_url(database_url)
    with Relay(server.host or "127.0.0.1", server.port or 5432) as relay:
        yield relay


@pytest.fixture
async def container(relay: Relay, database_url: str) -> AsyncIterator[Container]:
    url = make_url(database_url).set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    async with running(Container(settings=Settings(database={"url": url, "pool_size": 1}))) as container:
        async with container.engine().begin() as connection:
            await connection.run_sync(ShelfBase.metadata.create_all)
        with acting_as(SYSTEM):
            yield container


@pytest.fixture
def trips(relay: Relay) -> Callable[[Callable[[], Awaitable[object]]], Awaitable[int]]:
    async def count(work: Callable[[], Awaitable[object]]) -> int:
        for _ in range(WARM):
            await work()
        before = relay.round_trips
        await work()
        return relay.round_trips - before

    return count


Trips = Callable[[Callable[[], Awaitable[object]]], Awaitable[int]]


async def test_a_lone_read_is_one(container: Container, trips: Trips) -> None:
    users = container.user_dao()
    user = await users.add(User.create({"email": "ann@example.com"}))
    assert await trips(lambda: users.get(user.id)) == 1
    assert await trips(lambda: users.query().eq("email_key", "ann@example.com").one()) == 1
    assert await trips(lambda: users.query().exists()) == 1
    assert await trips(lambda: users.query().scalars(User.email)) == 1
    assert await trips(lambda: users.query().after(None, 10)) == 1


async def test_a_list_with_its_total_is_two_at_most(container: Container, trips: Trips) -> None:
    await container.user_dao().add(User.create({"email": "ann@example.com"}))
    assert await trips(lambda: container.user_service().list(include_total=True)) == 2
    assert await trips(lambda: container.user_dao().query().page(1, 10)) == 1


async def test_a_lone_update_that_returns_its_row_is_one(container: Container, trips: Trips) -> None:
    books: BaseDao[Book] = BaseDao(container.session_provider(), Book)
    book = await books.add(Book(title="One"))
    assert await trips(lambda: books.update().eq("id", book.id).increment("copies").returning()) == 1
    assert await trips(lambda: books.update().eq("id", book.id).increment("copies").execute()) == 1
    assert (await books.get(book.id)).copies == 1 + 2 * (WARM + 1)


async def test_a_transaction_of_two_rows_is_four_at_most(container: Container, trips: Trips) -> None:
    books: BaseDao[Book] = BaseDao(container.session_provider(), Book)

    async def two() -> None:
        async with container.transaction()():
            await books.add(Book(title="One"))
            await books.add(Book(title="Two"))

    assert await trips(two) == 4


async def test_asking_where_the_schema_stands_is_one(container: Container, trips: Trips) -> None:
    assert await trips(container.schema().current) == 1


async def test_a_transaction_in_which_nothing_was_done_is_none(container: Container, trips: Trips) -> None:
    async def nothing() -> None:
        async with container.transaction()():
            pass

    assert await trips(nothing) == 0
