"""No answer of a broker ends a worker or a relay that is at work; one that is hopeless at start is one clear line."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import which

import pytest
import redis
from amqp import exceptions as amqp
from kombu.exceptions import OperationalError
from redis import exceptions as answers

from containers import Container, running
from services.messaging import embedded_broker
from services.messaging.outage import Outage, unavailable
from services.messaging.publisher import BrokerRefused, BrokerUnavailable
from settings import Settings
from tests.app.worker.application import EFFECT
from tests.app.worker.brokers import broker_variables
from tests.app.worker.processes import worker
from tests.app.worker.redis_server import RedisServer
from tests.patience import until
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (amqp.AccessRefused("ACCESS_REFUSED - canary"), True),
        (amqp.NotAllowed("NOT_ALLOWED - vhost canary not found"), True),
        (amqp.NotFound("NOT_FOUND - no queue canary"), False),
        (amqp.PreconditionFailed("delivery acknowledgement on channel 1 timed out"), False),
        (amqp.ResourceError("canary"), False),
        (answers.AuthenticationError("canary"), True),
        (answers.ResponseError("WRONGPASS canary"), True),
        (answers.NoPermissionError("canary"), True),
        (answers.ResponseError("UNBLOCKED force unblock from blocking operation, instance state changed"), False),
        (answers.OutOfMemoryError("canary"), False),
        (answers.ReadOnlyError("canary"), False),
        (ConnectionRefusedError("canary"), False),
        (AttributeError("canary"), False),
    ],
)
def test_each_answer_is_told_by_its_kind_alone(answer: Exception, refused: bool) -> None:
    wrapped = OperationalError("redis://:canary@broker")
    wrapped.__cause__ = answer
    for error in (answer, wrapped):
        told = unavailable(error)
        assert isinstance(told, BrokerRefused) is refused
        assert told.kind == type(answer).__name__
        assert "canary" not in str(told)


def test_an_outage_is_one_line_a_minute(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("services.messaging.outage.time.monotonic", lambda: now)
    outage, error = Outage("messages wait"), BrokerUnavailable("ConnectionRefusedError")
    pauses = []
    with caplog.at_level(logging.INFO):
        while now < 1150:
            pauses.append(outage.failed(error))
            now += pauses[-1]
        outage.over()
        outage.over()
        now += 5
        outage.failed(error)  # it wasn't over yet
        outage.over()
        now += 11
        outage.failed(error)
    lines = [re.sub(r"(\d)\d s", r"\1_ s", record.getMessage().partition(":")[0]) for record in caplog.records]
    assert lines == [
        "messages wait",
        "messages wait for 6_ s",
        "messages wait for 12_ s",
        f"it goes on after 15_ s and {len(pauses)} failures",
        f"it goes on after 15_ s and {len(pauses) + 1} failures",
        "messages wait",
    ]
    assert (pauses[0], max(pauses)) == (0.25, 2.0)


@asynccontextmanager
async def relaying(settings: Settings) -> AsyncIterator[Container]:
    async with running(Container(settings=settings)) as client:
        with acting_as(SYSTEM):
            relay = asyncio.create_task(client.outbox_relay().run())
            yield client
            assert not relay.done(), relay
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay


async def handled(client: Container, name: str, within: float = 30) -> None:
    async with client.transaction()():
        message = await client.outbox_service().append(EFFECT, {"name": name})

    async def done() -> bool:
        return bool(await client.inbox_dao().done([message.id]))

    await until(done, within=within, pause=0.05)


@pytest.mark.skipif(which("redis-server") is None, reason="there is no redis-server to start")
@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.timeout(120)
async def test_a_redis_that_becomes_a_replica_or_is_full_ends_neither_worker_nor_relay(
    container: Container, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    url = f"redis://127.0.0.1:{server.port}/0"
    server.start()
    try:
        with redis.Redis(port=server.port) as operator:
            await until(lambda: _answers(operator.ping), within=10)

            async def become_replica() -> None:
                operator.replicaof("127.0.0.1", 1)
                await asyncio.sleep(1)
                operator.replicaof("NO", "ONE")

            async def be_full() -> None:
                operator.config_set("maxmemory", 1)
                await asyncio.sleep(1)
                operator.config_set("maxmemory", 0)

            variables = {"GATEHOUSE_WORKER__BROKER_URL": url}
            await _outlived(settings, database_url, tmp_path, variables, become_replica, be_full)
    finally:
        server.kill()


def _answers(ping: Callable[[], object]) -> bool:
    try:
        return bool(ping())
    except redis.ConnectionError:
        return False


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.timeout(120)
async def test_an_embedded_broker_whose_file_is_damaged_is_replaced_while_worker_and_relay_run(
    container: Container, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    async def damage() -> None:
        size = (tmp_path / "broker.db").stat().st_size
        with (tmp_path / "broker.db").open("r+b") as file:
            file.write(b"\xa5" * size)

    with broker_variables("embedded") as variables:
        await _outlived(settings, database_url, tmp_path, variables, damage)
    _look_at_files(tmp_path)


def _look_at_files(folder: Path) -> None:
    (aside,) = folder.glob("broker.db.damaged-*")
    assert aside.read_bytes()[:4] == b"\xa5" * 4
    assert {path.stat().st_mode & 0o077 for path in folder.glob("broker*")} == {0}


async def _outlived(
    settings: Settings, database_url: str, folder: Path, variables: dict[str, str], *faults: Callable[[], object]
) -> None:
    variables = variables | {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(folder)}
    named = {name.removeprefix("GATEHOUSE_WORKER__").lower(): value for name, value in variables.items()}
    section = {name: named[name] for name in ("queue", "broker_url") if name in named}
    here = settings.model_copy(
        update={
            "worker": settings.worker.model_validate(section),
            "outbox": settings.outbox.model_validate({"redeliver_after": 3, "poll_interval": 0.2}),
        }
    )
    with worker(folder, "--pool=threads", "--concurrency=2", **variables) as process:
        async with relaying(here) as client:
            await handled(client, "before")
            for number, fault in enumerate(faults):
                result = fault()
                assert asyncio.iscoroutine(result)
                await result
                await handled(client, f"after {number}")
                assert process.process.poll() is None, process.log.read_text()
        process.end()
    log = process.log.read_text()
    assert log.count("tasks wait") <= len(faults), log
    assert "Traceback" not in log


def test_a_sound_file_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "broker.db"
    file.touch()
    embedded_broker.replace_damaged(file)
    assert [path.name for path in tmp_path.iterdir() if "damaged" in path.name] == []
    file.write_bytes(b"x" * 5000)
    embedded_broker.replace_damaged(file)
    assert file.read_bytes() == b""
