"""The node that ids are of: leased before the first unit that may write, renewed, given back, never shared."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from containers import Container, running
from settings import Settings
from tests.repositories.accounts import account, stored
from unitwork import Propagation
from unitwork.errors import NodeLeaseLost, NodesExhausted
from unitwork.ids import leased_ids
from unitwork.ids.node_leases import NODES, DatabaseNow, NodeLease
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.databases import Databases

pytestmark = pytest.mark.database("own")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Of a process that leases its node."""
    return settings.model_copy(update={"node_id": None})


async def leases(container: Container) -> list[dict[str, Any]]:
    rows = await stored(container, "SELECT node_id, holder, expires_at, used_until FROM node_leases ORDER BY node_id")
    return [dict(row) for row in rows]


async def add(container: Container, email: str | None = "ann@example.com") -> int:
    with acting_as(SYSTEM):
        return (await container.user_dao().add(account(email))).id


def node_of(id_: int) -> int:
    return id_ >> 10 & 0xFFF


async def change(container: Container, **values: Any) -> None:
    """What another process does to the rows."""
    async with container.engine().begin() as connection:
        await connection.execute(update(NodeLease).values(values))


@asynccontextmanager
async def over(settings: Settings, **options: Any) -> AsyncIterator[Container]:
    """A running container whose lease has other times."""
    container = Container(settings=settings)
    container.id_generator.add_kwargs(**options)
    async with running(container):
        yield container


async def test_the_first_unit_that_may_write_leases_a_node_and_closing_gives_it_back(settings: Settings) -> None:
    async with running(Container(settings=settings)) as container:
        assert await leases(container) == []
        id_ = await add(container)
        (lease,) = await leases(container)
        assert node_of(id_) == lease["node_id"] == container.id_generator().node_id
        assert lease["expires_at"] > 0
        await add(container, "bob@example.com")
        assert await leases(container) == [lease]
    async with running(Container(settings=settings)) as after:
        (given_back,) = await leases(after)
        assert given_back["expires_at"] == 0
        assert (
            node_of(await add(after, "eve@example.com")) == lease["node_id"]
        )  # no row for each process there ever was


async def test_reading_leases_nothing(container: Container) -> None:
    await container.user_dao().count().rows()
    async with container.transaction()(read_only=True):
        await container.user_dao().query().all()
    async with container.session_provider()(read_only=True) as session:
        await session.execute(text("SELECT 1"))
    assert await leases(container) == []
    with pytest.raises(NodeLeaseLost, match="none was leased yet"):
        container.id_generator().next_id()


async def test_once_it_is_leased_a_unit_costs_no_statement_more(
    container: Container, assert_queries: Callable[..., Any]
) -> None:
    await add(container)
    with assert_queries(exactly=2):  # the account, its audit entry
        await add(container, "bob@example.com")


async def test_a_pool_of_one_is_enough(settings: Settings) -> None:
    one = settings.database.model_copy(update={"pool_size": 1, "max_overflow": 0})
    async with running(Container(settings=settings.model_copy(update={"database": one}))) as container:
        with acting_as(SYSTEM):
            async with asyncio.timeout(10), container.transaction()():
                await container.user_dao().add(account())
            await asyncio.gather(*(add(container, f"user{number}@example.com") for number in range(20)))
        assert await container.user_dao().count().rows() == 21
        assert len(await leases(container)) == 1


async def test_an_independent_transaction_in_a_reading_one_leases_too(container: Container) -> None:
    with acting_as(SYSTEM):
        async with container.transaction()(read_only=True):
            await container.user_dao().count().rows()
            async with container.transaction()(Propagation.REQUIRES_NEW):
                await container.user_dao().add(account())
    assert len(await leases(container)) == 1


async def test_many_that_begin_at_once_lease_once(container: Container) -> None:
    await asyncio.gather(*(add(container, f"user{number}@example.com") for number in range(10)))
    assert len(await leases(container)) == 1


async def test_containers_at_the_same_time_have_different_nodes(settings: Settings) -> None:
    async def write(number: int) -> tuple[int, int]:
        async with running(Container(settings=settings)) as container:
            id_ = await add(container, f"user{number}@example.com")
            await everybody.wait()
            return node_of(id_), container.id_generator().node_id

    everybody = asyncio.Barrier(6)
    nodes = await asyncio.gather(*(write(number) for number in range(6)))
    assert all(of_id == leased for of_id, leased in nodes)
    assert len({node for node, _ in nodes}) == 6


async def test_a_node_that_is_set_needs_no_lease(settings: Settings) -> None:
    async with running(Container(settings=settings.model_copy(update={"node_id": 77}))) as container:
        assert node_of(await add(container)) == 77
        assert await leases(container) == []


async def test_what_a_crashed_process_left_is_taken_when_it_has_run_out_and_not_before(settings: Settings) -> None:
    async with running(Container(settings=settings)) as container:
        await add(container)
        (lease,) = await leases(container)
        async with running(Container(settings=settings)) as second:
            assert node_of(await add(second, "bob@example.com")) != lease["node_id"]
        await change(container, expires_at=1, used_until=lease["used_until"] - 1_000_000)
        async with running(Container(settings=settings)) as third:
            last = (await leases(container))[0]["used_until"]
            id_ = await add(third, "eve@example.com")
            assert (id_ >> 22) + 1_735_689_600_000 > last
            assert len(await leases(container)) == 2


async def test_a_node_whose_ids_reach_into_our_future_is_left_alone(settings: Settings) -> None:
    """Its last holder's clock was ahead, or ours has gone back."""
    async with running(Container(settings=settings)) as container:
        async with container.engine().begin() as connection:
            ahead = container.id_generator().of(container.engine())._clock() + 60_000
            row = {"node_id": 5, "holder": "gone", "expires_at": 0, "used_until": ahead}
            await connection.execute(insert(NodeLease).values(row))
        assert node_of(await add(container)) != 5


async def test_an_overdue_lease_makes_no_id_and_the_next_unit_takes_another(settings: Settings) -> None:
    later = 0.0

    def monotonic() -> float:
        return asyncio.get_running_loop().time() + later

    async with over(settings, monotonic=monotonic) as container:
        first = await add(container)
        with acting_as(SYSTEM):
            with pytest.raises(NodeLeaseLost, match="overdue"):
                async with container.transaction()():
                    later = 600.0
                    await container.user_dao().add(account("bob@example.com"))
            second = await add(container, "eve@example.com")
        assert second > first
        assert node_of(second) != node_of(first)  # by the database's clock the first one still counts
        assert await container.user_dao().count().rows() == 2


@pytest.mark.parametrize("milliseconds", [3_600_000, 700_000])
async def test_a_machine_that_slept_makes_no_id_under_its_old_lease(settings: Settings, milliseconds: int) -> None:
    """The monotonic clock stands still meanwhile."""
    ahead = 0

    def clock() -> int:
        return int(asyncio.get_running_loop().time() * 1000) + 1_800_000_000_000 + ahead

    async with over(settings, clock=clock) as container:
        first = await add(container)
        ahead = milliseconds
        with pytest.raises(NodeLeaseLost, match="overdue"):
            container.id_generator().next_id()
        assert await add(container, "bob@example.com") > first


async def take_every_node(container: Container) -> None:
    async with container.engine().begin() as connection:
        rows = [{"node_id": n, "holder": "x", "expires_at": 1 << 52, "used_until": 0} for n in range(NODES)]
        await connection.execute(insert(NodeLease), rows)


async def test_when_every_node_is_leased_a_free_one_is_waited_for(settings: Settings) -> None:
    async with over(settings, wait=30.0) as container:
        await take_every_node(container)
        waiting = asyncio.create_task(add(container))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with container.engine().begin() as connection:
            await connection.execute(update(NodeLease).where(NodeLease.node_id == 99).values(expires_at=0))
        assert node_of(await waiting) == 99


async def test_when_none_becomes_free_the_unit_does_not_begin(settings: Settings) -> None:
    async with over(settings, wait=0.2) as container:
        await take_every_node(container)
        with pytest.raises(NodesExhausted, match="all 4096 nodes"):
            await add(container)
        assert await container.user_dao().count().rows() == 0


async def test_a_database_without_the_table_is_written_to_and_makes_no_id(
    databases: Databases, backend: str, settings: Settings
) -> None:
    url = databases.create(backend, migrated=False)
    bare = Settings(database={"url": url}).database
    async with running(Container(settings=settings.model_copy(update={"database": bare}))) as container:
        async with container.transaction()() as transaction:
            await transaction.session.execute(text("CREATE TABLE notes (id INTEGER)"))
            await transaction.session.execute(text("INSERT INTO notes VALUES (1)"))
        assert len(await stored(container, "SELECT id FROM notes")) == 1
        with pytest.raises(NodeLeaseLost, match="takes no lease"):
            container.id_generator().next_id()
    databases.drop(url)


async def test_a_forked_child_makes_no_id_of_its_parents_node(container: Container) -> None:
    await add(container)
    ids = container.id_generator()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest may go on in here
        try:
            ids.next_id()
            os.write(writer, b"an id")
        except NodeLeaseLost as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)  # noqa: ASYNC222 - it ends by itself
    with os.fdopen(reader) as answer:
        assert "a forked child needs a container of its own" in answer.read()
    assert ids.next_id() > 0


async def test_a_cancelled_start_leaves_the_next_one_in_order(container: Container, backend: str) -> None:
    for steps in range(12):
        task = asyncio.create_task(add(container, f"user{steps}@example.com"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await add(container)
    assert container.schema().connections_in_use == 0


async def test_the_databases_clock_is_in_milliseconds(container: Container) -> None:
    async with container.engine().connect() as connection:
        now = (await connection.execute(select(DatabaseNow()))).scalar_one()
    assert abs(now - container.id_generator().of(container.engine())._clock()) < 5_000


def test_its_times_leave_room_for_long_units_and_late_answers() -> None:
    """A lease must outlast the longest unit of a pool of one, in which nothing can be renewed."""
    assert leased_ids.TTL * leased_ids.MARGIN > 10 * leased_ids.RENEW_EVERY
