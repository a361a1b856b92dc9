"""Slow, failing, blocking and killing handlers on each broker and pool: one run at a time, with pauses, none wedged."""

import asyncio
import itertools
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from containers import Container, running
from domain import User
from settings import Settings
from tests.app.worker.application import EFFECT
from tests.app.worker.brokers import BROKERS, broker_variables
from tests.app.worker.hard_handlers import BLOCKING, FAILING, KILLING, SLOW, SLOW_SECONDS, TRACE_FILE, Run, runs
from tests.app.worker.processes import WorkerProcess, exists, worker
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

ATTEMPTS = 3
BACKOFF = 0.5
LEASE = 4.0
EFFECTS = 20


class Supervisor:
    """Starts the worker again when it has ended, as a service manager does."""

    def __init__(self, stack: ExitStack, folder: Path, pool: str, variables: dict[str, str]) -> None:
        self._stack = stack
        self._start_in = partial(worker, folder, f"--pool={pool}", "--concurrency=2", **variables)
        self.starts = 0
        self.codes: Counter[int] = Counter()
        self.worker = self._start()

    def look(self) -> None:
        code = self.worker.process.poll()
        if code is not None:
            self.codes[code] += 1
            self.worker = self._start()

    def _start(self) -> WorkerProcess:
        self.starts += 1
        return self._stack.enter_context(self._start_in())


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("broker", "pool"), list(itertools.product(BROKERS, ("prefork", "threads", "solo"))))
@pytest.mark.timeout(900)
async def test_each_kind_of_handler_runs_alone_with_its_pauses_and_leaves_no_process_wedged(
    container: Container,
    session: AsyncSession,
    settings: Settings,
    database_url: str,
    tmp_path: Path,
    broker: str,
    pool: str,
) -> None:
    trace = tmp_path / "trace"
    trace.touch()
    with broker_variables(broker) as variables, ExitStack() as stack:
        variables |= {
            "DATABASE_URL": database_url,
            "GATEHOUSE_VAR_DIR": str(tmp_path),
            "GATEHOUSE_OUTBOX__LEASE": str(LEASE),
            "GATEHOUSE_OUTBOX__MAX_ATTEMPTS": str(ATTEMPTS),
            "GATEHOUSE_OUTBOX__BACKOFF": str(BACKOFF),
            TRACE_FILE: str(trace),
        }
        named = {name.removeprefix("GATEHOUSE_WORKER__").lower(): value for name, value in variables.items()}
        section = {name: named[name] for name in ("queue", "broker_url") if name in named}
        outbox = {"redeliver_after": 1, "poll_interval": 0.1}
        here = settings.model_copy(
            update={
                "worker": settings.worker.model_validate(section),
                "outbox": settings.outbox.model_validate(outbox),
            }
        )
        supervisor = await asyncio.to_thread(Supervisor, stack, tmp_path, pool, variables)
        async with running(Container(settings=here)) as client:
            with acting_as(SYSTEM):
                relay = asyncio.create_task(client.outbox_relay().run())
                async with client.transaction()():
                    for number in range(EFFECTS):
                        await client.outbox_service().append(EFFECT, {"name": f"effect {number}"})
                    for topic in (SLOW, SLOW, FAILING, FAILING, BLOCKING, KILLING):
                        await client.outbox_service().append(topic, {})
                async with asyncio.timeout(600):
                    while (await client.outbox_service().lag()).waiting:
                        await asyncio.to_thread(supervisor.look)
                        await asyncio.sleep(0.2)
            parked = Counter(message.topic for message in (await client.outbox_service().list()).items)
            relay.cancel()
            with suppress(asyncio.CancelledError):
                await relay
        seen = runs(trace)
        wedged = {run.pid for run in seen if run.topic == BLOCKING and exists(run.pid)}
        print(f"{broker} with {pool}: {supervisor.starts} starts, codes {dict(supervisor.codes)}")
        print(_told(seen))
        supervisor.worker.process.terminate()
        await asyncio.to_thread(supervisor.worker.process.wait, 60)
    by_message = {message: [run for run in seen if run.message == message] for message in {run.message for run in seen}}
    most = max(_at_once(of_one) for of_one in by_message.values())
    assert most == 1
    assert wedged == set()
    assert parked == {FAILING: 2, BLOCKING: 1, KILLING: 1}
    counts = {topic: [len(of_one) for of_one in by_message.values() if of_one[0].topic == topic] for topic in parked}
    # A process that ends takes along what its other threads had begun, and uses an attempt of it.
    fewest = ATTEMPTS if pool == "prefork" else 1
    assert all(fewest <= number <= ATTEMPTS for numbers in counts.values() for number in numbers), counts
    for of_one in by_message.values():
        gaps = [later.began - (run.ended or run.began) for run, later in itertools.pairwise(of_one)]
        if of_one[0].topic == FAILING:
            assert all(gap >= BACKOFF * 2**number for number, gap in enumerate(gaps)), gaps
    names = Counter(await session.scalars(select(User.display_name)))
    assert names == {f"effect {number}": 1 for number in range(EFFECTS)}


def _at_once(of_one: list[Run]) -> int:
    """Number of runs of one message that were under way at once. One that was killed, or ended with its process, has no
    end of its own: it was under way for at least half a lease, if it blocked, and for a moment, if it killed itself.
    """
    ends = [run.ended or run.began + (LEASE / 2 if run.topic == BLOCKING else 0.0) for run in of_one]
    pairs = list(zip(of_one, ends, strict=True))
    return max(sum(run.began <= began.began < end or run is began for run, end in pairs) for began in of_one)


def _told(seen: list[Run]) -> str:
    first = min(run.began for run in seen)
    lines = []
    for run in seen:
        end = "never" if run.ended is None else f"{run.ended - first:6.2f}"
        lines.append(f"  {run.topic:14} {run.message[-4:]} began {run.began - first:6.2f} ended {end} in {run.pid}")
    return "\n".join(lines)


assert SLOW_SECONDS > 2 * LEASE
