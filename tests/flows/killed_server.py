"""Rounds of a server that is killed (SIGKILL) while it writes, and what must be true after each."""

import asyncio
import random
import time
from pathlib import Path

from containers import Container
from tests.faults.leaks import backends
from tests.faults.ledger import create_ledger, parts_stored
from tests.flows.ledger_load import Load
from tests.flows.server import server_process, until_listening
from tests.patience import until

LEDGER = ("-m", "tests.flows.ledger_application")
GONE_WITHIN = 5.0
"""Seconds after which the server of the database has let go of the killed process's sessions."""


async def killed_rounds(container: Container, folder: Path, rounds: int) -> None:
    """Fails when a unit is stored in half, or was answered and isn't stored, or a backend is left."""
    seed = random.SystemRandom().getrandbits(32)
    print("seed", seed)
    moments = random.Random(seed)
    url = container.settings().database.url
    await create_ledger(container)
    postgresql = url.get_backend_name() == "postgresql"
    mine = await backends(url) if postgresql else 0
    answered: set[str] = set()
    sent: set[str] = set()
    for number in range(rounds):
        with server_process(
            folder,
            program=LEDGER,
            DATABASE_URL=url.render_as_string(hide_password=False),
            GATEHOUSE_VAR_DIR=str(folder),
        ) as server:
            await asyncio.to_thread(until_listening, server.address)
            async with Load(server.address, f"round{number}", seed=seed + number) as load:
                await load.answers(5)
                await asyncio.sleep(moments.random() / 2)
                server.process.kill()
                await asyncio.to_thread(server.process.wait, 10)
            assert set(load.statuses) == {200}, load
        answered |= load.answered
        sent |= load.sent
        if postgresql:

            async def gone() -> bool:
                return await backends(url) == mine

            begun = time.perf_counter()
            await until(gone, within=GONE_WITHIN)
            print(f"round {number}: {load}; 0 backends left after {time.perf_counter() - begun:.2f} s")
    stored = await parts_stored(container)
    ambiguous = set(stored) - answered
    print(f"{rounds} kills: {len(sent)} units sent, {len(answered)} answered, {len(ambiguous)} stored unanswered")
    assert set(stored.values()) == {2}, "no unit is half stored"
    assert answered - set(stored) == set(), "answered, and not stored"
    assert set(stored) <= sent
