"""The pauses between the attempts of `execute_transaction`: how long, how told, how ended."""

import asyncio
import logging
import re
import time
from collections.abc import Callable

import pytest
import stamina
from sqlalchemy.ext.asyncio import AsyncSession
from stamina.instrumentation import RetryDetails

from containers import Container
from tests.database.attempts import SOON, UNDONE, Work
from unitwork import Retry, execute_transaction
from unitwork.errors import ConnectionLost, SerializationFailure


async def test_pauses_grow_are_jittered_and_bounded_and_told_without_words(
    with_tables: Container, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    work = Work(ConnectionLost("canary", sqlstate="08006"), failures=8)
    retry = Retry(attempts=9, wait_initial=0.01, wait_max=0.1, jitter=0.02)
    await execute_transaction(with_tables.transaction(), work, retry=retry, name="greet")
    told = [record.getMessage() for record in caplog.records if record.name == "unitwork.database"]
    assert len(told) == 8
    pauses = []
    for number, line in enumerate(told, start=1):
        found = re.fullmatch(
            rf"greet failed with ConnectionLost in attempt {number} of 9, trying again in (\d+\.\d+) s", line
        )
        assert found
        pauses.append(float(found[1]))
    for number, pause in enumerate(pauses):
        assert min(0.01 * 2**number, 0.1) - 0.001 <= pause <= min(0.01 * 2**number + 0.02, 0.1) + 0.001
    assert len({round(pause - 0.01 * 2**number, 3) for number, pause in enumerate(pauses[:3])}) > 1
    assert "canary" not in caplog.text
    assert "stamina" not in caplog.text
    assert "".join(capsys.readouterr()) == ""


async def test_staminas_process_wide_hooks_are_neither_called_nor_changed(with_tables: Container) -> None:
    told: list[RetryDetails] = []

    def hook(details: RetryDetails) -> None:
        told.append(details)

    stamina.instrumentation.set_on_retry_hooks([hook])
    try:
        await execute_transaction(with_tables.transaction(), Work(UNDONE[0], failures=1), retry=SOON)
        hooks = stamina.instrumentation.get_on_retry_hooks()
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert hooks == (hook,)
    assert told == []


async def test_after_the_timeout_a_failed_attempt_is_the_last(with_tables: Container) -> None:
    work = Work(UNDONE[0], failures=10_000)
    begun = time.perf_counter()
    with pytest.raises(SerializationFailure):
        await execute_transaction(
            with_tables.transaction(), work, retry=Retry(attempts=10_000, wait_max=0.02, timeout=0.3)
        )
    assert 1 < len(work.sessions) < 10_000
    assert time.perf_counter() - begun < 10


async def test_a_cancellation_ends_a_pause_at_once(with_tables: Container) -> None:
    rolled_back = asyncio.Event()
    runs = 0

    async def fails(session: AsyncSession) -> None:
        nonlocal runs
        runs += 1
        session.info["transaction"].after_rollback(rolled_back.set)
        raise UNDONE[0]

    retry = Retry(attempts=9, wait_initial=60, wait_max=60)
    task = asyncio.create_task(execute_transaction(with_tables.transaction(), fails, retry=retry))
    async with asyncio.timeout(10):
        await rolled_back.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert runs == 1


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (lambda: Retry(attempts=0), "attempts counts all"),
        (lambda: Retry(jitter=-0.1), "pauses are 0 s at least"),
        (lambda: Retry(wait_initial=-1), "pauses are 0 s at least"),
        (lambda: Retry(wait_initial=2, wait_max=1), "wait_max is no shorter"),
        (lambda: Retry(timeout=0), "timeout is more than 0 s"),
    ],
)
def test_bounds_that_are_none_are_refused(refused: Callable[[], Retry], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        refused()
