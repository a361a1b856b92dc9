"""A few kills of workers and relays; `make storm` has two hundred."""

from pathlib import Path

import pytest

from containers import Container
from tests.faults.worker_kills import WorkerKills


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.timeout(480)
async def test_no_message_is_lost_or_done_twice_when_workers_and_relays_are_killed(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    kills = WorkerKills(container, tmp_path, DATABASE_URL=database_url, GATEHOUSE_VAR_DIR=str(tmp_path))
    print("seed", kills.seed)
    await kills.run(3)
    print(kills)
    assert await kills.problems() == []
    assert kills.committed
    assert kills.rolled_back
