"""10,000 real cancellations for each driver and style, at random moments over a pool of ten."""

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.campaign import Campaign, How
from tests.faults.leaks import no_leaks
from tests.faults.ledger import create_ledger
from tests.faults.percentiles import percentile
from tests.faults.work import ADDS, READS, WRITES, Work

COUNTS = {How.NATIVE: 10_000, How.DOUBLE: 10_000, How.TIMEOUT: 10_000, How.ANYIO: 10_000, How.GROUP: 1_000}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("how", "work"),
    # A lone read is over before most of a group have begun theirs.
    [(how, work) for how in How for work in (WRITES, ADDS, READS) if (how, work) != (How.GROUP, READS)],
    ids=str,
)
async def test_cancelled_at_random_nothing_leaks_is_half_done_or_lied_about(
    settings: Settings, backend: str, how: How, work: Work, seed: int, share: float
) -> None:
    count = max(int(COUNTS[how] * share), 1)
    database = settings.database.model_copy(update={"pool_size": 10, "max_overflow": 0, "pool_timeout": 30.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        await create_ledger(container)
        campaign = Campaign(container, work, (how,), seed=seed)
        async with no_leaks(container.engine()):
            await campaign.run(count)
            print(f"\n{campaign}")
        problems = await campaign.problems()
        assert not problems, "\n".join(problems[:20])
        assert campaign.cancelled >= count
        if backend == "postgresql":
            outlasted = campaign.outlasted(settings.database.cancel_grace)
            print(f"statements that outlasted the grace: {outlasted}")
            assert campaign.reconnects <= outlasted
            assert percentile(campaign.cleanups, 99) < 0.05
