"""`gatehouse worker`: a Celery worker and a relay, from one command, and nothing left of either when it ends."""

import asyncio
from pathlib import Path

import pytest

from containers import Container
from tests.app.worker.processes import exists, gatehouse_worker
from tests.patience import until
from tests.services.messages import welcomed

pytestmark = pytest.mark.database("own")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.timeout(240)
async def test_who_registers_is_welcomed_and_sigterm_leaves_nothing_behind(
    container: Container, database_url: str, tmp_path: Path
) -> None:
    variables = {"DATABASE_URL": database_url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    with gatehouse_worker(tmp_path, "--concurrency", "1", **variables) as process:
        await welcomed(container)
        told = tmp_path / "notifications"
        await until(lambda: any(told.glob("*.json")), within=100, pause=0.2)
        workers = process.children()
        await asyncio.to_thread(process.end, within=100)
    assert workers
    assert not [pid for pid in workers if exists(pid)]
    assert (await container.outbox_service().lag()).waiting == 0
