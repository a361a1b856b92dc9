"""A lone read on a connection that died in the pool is sent once more; nothing else is."""

from collections.abc import AsyncIterator, Iterator
from threading import Thread

import pytest
from sqlalchemy import event, make_url, text

from containers import Container, running
from domain import User
from settings import Settings
from tests.faults.relay import Moment, Relay
from unitwork.errors import CommitOutcomeUnknown, ConnectionLost, DatabaseUnavailable
from unitwork.models import SYSTEM, acting_as
from unitwork.testing.servers.postgresql import on_server

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    server = make_url(database_url)
    with Relay(server.host or "127.0.0.1", server.port or 5432) as relay:
        yield relay


@pytest.fixture
async def container(relay: Relay, database_url: str) -> AsyncIterator[Container]:
    url = make_url(database_url).set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    async with running(Container(settings=Settings(database={"url": url}, node_id=1))) as container:
        yield container
        assert container.schema().connections_in_use == 0


@pytest.fixture
async def user(container: Container) -> User:
    with acting_as(SYSTEM):
        return await container.user_service().create({"email": "ann@example.com"})


@pytest.fixture
def statements(container: Container) -> Iterator[list[str]]:
    """What was given to the driver, by its first word."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement.partition(" ")[0])

    event.listen(container.engine().sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(container.engine().sync_engine, "before_cursor_execute", note)


async def idle_and_dead(container: Container, connections: int = 3) -> None:
    """The pool holds so many connections whose backends were killed; the blocked loop can't have noticed."""
    held = [await container.engine().connect() for _ in range(connections)]
    for connection in held:
        await connection.execute(text("SELECT 1"))
    for connection in held:
        await connection.close()
    database = container.engine().url.database
    kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1"
    killed: list[int] = []
    thread = Thread(target=lambda: killed.append(on_server(lambda connection: connection.fetchval(kill, database))))
    thread.start()
    thread.join()
    assert killed == [connections]


async def test_it_is_read_on_another_connection_and_the_caller_sees_nothing(
    container: Container, user: User, statements: list[str]
) -> None:
    await idle_and_dead(container)
    statements.clear()
    assert (await container.user_dao().get(user.id)).email == "ann@example.com"
    assert statements == ["SELECT", "SELECT"]
    assert await container.user_dao().count().rows() == 1
    assert [found.id for found in await container.user_dao().query().all()] == [user.id]
    assert await container.user_dao().query().exists()
    assert statements == ["SELECT"] * 5


async def test_only_once(container: Container, user: User, relay: Relay, statements: list[str]) -> None:
    assert await container.user_dao().count().rows() == 1
    statements.clear()
    relay.refuse()
    relay.cut()
    with pytest.raises(DatabaseUnavailable):
        await container.user_dao().count().rows()
    relay.refuse(refusing=False)
    assert len(statements) == 1
    statements.clear()
    relay.cut_at(b"FROM users", Moment.BEFORE, times=2)
    with pytest.raises(ConnectionLost):
        await container.user_dao().query().all()
    assert statements == ["SELECT", "SELECT"]
    assert len(await container.user_dao().query().all()) == 1


async def test_a_lone_write_is_not_sent_again(container: Container, user: User, statements: list[str]) -> None:
    await idle_and_dead(container)
    statements.clear()
    with acting_as(SYSTEM), pytest.raises((ConnectionLost, CommitOutcomeUnknown)):
        await container.outbox_dao().update().eq("id", user.id).set(topic="nothing").execute()
    assert statements == ["UPDATE"]


async def test_a_read_in_a_transaction_is_not_sent_again(
    container: Container, user: User, statements: list[str]
) -> None:
    await idle_and_dead(container)
    statements.clear()
    with pytest.raises(ConnectionLost):
        async with container.transaction()(read_only=True):
            await container.user_dao().count().rows()
    assert statements == ["SELECT"]
