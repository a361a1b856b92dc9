"""A server that is told to stop: what it has answered is stored, what is in flight ends, and so does it, in time."""

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from containers import Container, running
from settings import Settings
from tests.faults.ledger import create_ledger, parts_stored
from tests.faults.private_postgresql import PrivatePostgresql
from tests.flows.ledger_load import Load
from tests.flows.server import ServerProcess, server_process, until_listening
from tests.patience import until

LEDGER = ("-m", "tests.flows.ledger_application")
DRAIN = 1.0
AMPLE = 8.0
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def variables(url: str, folder: Path, drain: float = DRAIN) -> dict[str, str]:
    return {
        "DATABASE_URL": url,
        "GATEHOUSE_VAR_DIR": str(folder),
        "GATEHOUSE_DATABASE__DRAIN_TIMEOUT": str(drain),
        "GATEHOUSE_DATABASE__POOL_SIZE": "10",
    }


async def told(server: ServerProcess, number: signal.Signals, drain: float = DRAIN) -> float:
    return await asyncio.to_thread(server.told, number, within=drain + 2)


@BOTH
async def test_told_to_stop_under_load_it_has_stored_all_it_has_answered(
    container: Container, database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    await create_ledger(container)
    with server_process(tmp_path, program=LEDGER, **variables(database_url, tmp_path, AMPLE)) as server:
        until_listening(server.address)
        async with Load(server.address, "load", seed=seed) as load:
            await load.answers(20 + random.Random(seed).randrange(50))
            took = await told(server, number, AMPLE)
    print(load)
    stored = await parts_stored(container)
    assert set(stored.values()) == {2}, "no unit is half stored"
    assert load.answered - set(stored) == set(), "answered, and not stored"
    assert set(load.statuses) == {200}, "shorter than the drain, no request is lost"
    assert took < AMPLE, "nothing waits for the drain timeout"


async def test_a_request_in_flight_is_answered_when_it_ends_before_the_drain_timeout(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    await create_ledger(container)
    with server_process(tmp_path, program=LEDGER, **variables(database_url, tmp_path, AMPLE)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            slow = asyncio.create_task(client.post("/units/slow", params={"seconds": 0.7}))
            await asyncio.sleep(0.3)
            stopping = asyncio.create_task(told(server, signal.SIGTERM, AMPLE))
            await asyncio.sleep(0.2)
            with pytest.raises(httpx2.ConnectError):
                async with httpx2.AsyncClient(base_url=server.address, trust_env=False) as late:
                    await late.get("/health/live")
            assert (await slow).status_code == 200
            assert await stopping < AMPLE
    assert await parts_stored(container) == {"slow": 2}


async def test_a_request_that_takes_longer_is_cancelled_and_told_so(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    await create_ledger(container)
    with server_process(tmp_path, program=LEDGER, **variables(database_url, tmp_path, drain=0.5)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            slow = asyncio.create_task(client.post("/units/slow", params={"seconds": 60}))
            await asyncio.sleep(0.3)
            took = await told(server, signal.SIGTERM, drain=0.5)
            answer = await slow
    assert took >= 0.5
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("cancelled", "1")
    assert await parts_stored(container) == {}


async def test_it_ends_in_time_when_the_backends_of_its_requests_hang(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = private_settings()
    async with running(Container(settings=settings)) as container:
        await container.schema().upgrade()
        await create_ledger(container)
    name = settings.database.url.database or ""
    with server_process(tmp_path, program=LEDGER, **variables(private_postgresql.url(name), tmp_path)) as server:
        until_listening(server.address)
        async with httpx2.AsyncClient(base_url=server.address, timeout=30, trust_env=False) as client:
            assert (await client.post("/units/before")).status_code == 200
            hung = [asyncio.create_task(client.post(f"/units/hung{n}", params={"seconds": 0.5})) for n in range(3)]
            await asyncio.sleep(0.3)
            for pid in await private_postgresql.backends(name):
                private_postgresql.freeze(pid)
            private_postgresql.freeze(private_postgresql.postmaster)
            await asyncio.sleep(0.4)
            await told(server, signal.SIGTERM)
            answers = await asyncio.gather(*hung, return_exceptions=True)
        print([getattr(answer, "status_code", repr(answer)) for answer in answers])
        assert not any(getattr(answer, "status_code", 500) == 200 for answer in answers)
    private_postgresql.thaw_all()

    async def gone() -> bool:
        return not await private_postgresql.backends(name)

    await until(gone)
    async with running(Container(settings=settings)) as container:
        assert await parts_stored(container) == {"before": 2}
