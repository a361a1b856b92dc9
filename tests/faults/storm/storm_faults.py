"""Lost COMMIT answers, killed backends and contended counters, in the numbers that are quoted."""

from collections.abc import Callable

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.contention import count_up, create_counters, lock_crosswise
from tests.faults.killings import run_under_kills
from tests.faults.leaks import no_leaks
from tests.faults.ledger import create_ledger
from tests.faults.lost_commit import ATTEMPTS, lose_commits
from tests.faults.percentiles import percentile
from tests.faults.private_postgresql import PrivatePostgresql
from tests.faults.relay import Moment

on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@on_postgresql
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("mapped", [False, True], ids=["statements", "mapped"])
@pytest.mark.parametrize("retry", [None, ATTEMPTS])
async def test_200_lost_answers_make_no_wrong_verdict(
    settings: Settings, moment: Moment, retry: int | None, share: float, *, mapped: bool
) -> None:
    verdicts, wrong = await lose_commits(settings, moment, max(int(200 * share), 1), mapped=mapped, retry=retry)
    print(f"\n{moment.name}, {'mapped' if mapped else 'statements'}, retry {retry}: {verdicts}")
    assert not wrong, "\n".join(wrong)
    assert not verdicts.failed


@pytest.mark.timeout(1800)
async def test_100_backends_are_killed_and_no_unit_fails(
    private_postgresql: PrivatePostgresql, private_settings: Callable[..., Settings], share: float
) -> None:
    async with running(Container(settings=private_settings(pool_size=10, max_overflow=0))) as container:
        await create_ledger(container)
        async with no_leaks(container.engine()):
            casualties = await run_under_kills(container, private_postgresql, max(int(100 * share), 1))
            print(f"\n{casualties}")
        assert (casualties.failed, casualties.unknown, casualties.wrong) == ([], [], [])
        assert percentile(casualties.latencies, 99) < 0.25


@on_postgresql
@pytest.mark.timeout(3600)
async def test_10000_serialisable_increments_make_10000(container: Container, share: float) -> None:
    await create_counters(container, 1)
    count = max(int(10_000 * share), 1)
    contended = await count_up(container, count)
    print(f"\n{contended}")
    assert (contended.failed, contended.total, contended.hooks) == ([], count, count)


@on_postgresql
@pytest.mark.timeout(1800)
async def test_50_pairs_that_deadlock_all_succeed(container: Container, share: float) -> None:
    await create_counters(container, 2)
    pairs = max(int(50 * share), 1)
    contended = await lock_crosswise(container, pairs)
    print(f"\n{contended}")
    assert (contended.failed, contended.total, contended.hooks) == ([], 4 * pairs, 2 * pairs)
    assert contended.attempts > 2 * pairs
