"""kill -9 of workers and relays at 200 random moments while messages are committed, on each broker there is."""

from pathlib import Path

import pytest

from containers import Container
from tests.app.worker.brokers import BROKERS, broker_variables
from tests.faults.worker_kills import WorkerKills


@pytest.mark.parametrize("broker", BROKERS)
async def test_every_committed_message_is_done_exactly_once(
    container: Container, database_url: str, tmp_path: Path, broker: str
) -> None:
    with broker_variables(broker) as variables:
        variables |= {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
        kills = WorkerKills(container, tmp_path, **variables)
        print("seed", kills.seed, flush=True)
        await kills.run(200)
        problems = await kills.problems()
    print(f"{broker}: {kills}: {len(problems)} lost, done twice, or done though rolled back", flush=True)
    assert problems == []
