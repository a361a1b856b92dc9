"""Cancelled at random moments over a pool of ten: nothing leaks, nothing is half done, and no outcome is a lie."""

import random

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.campaign import Campaign, How
from tests.faults.leaks import no_leaks
from tests.faults.ledger import create_ledger
from tests.faults.work import ADDS, FLUSHES, READS, WRITES, Work

SHARES = [(WRITES, 80), (FLUSHES, 40), (ADDS, 40), (READS, 40)]


@pytest.fixture
def pool_of_ten(settings: Settings) -> Settings:
    database = settings.database.model_copy(update={"pool_size": 10, "max_overflow": 0, "pool_timeout": 30.0})
    return settings.model_copy(update={"database": database})


@pytest.mark.parametrize(("work", "count"), SHARES, ids=str)
async def test_200_units_cancelled_at_random_leak_nothing_and_lie_about_nothing(
    pool_of_ten: Settings, backend: str, work: Work, count: int
) -> None:
    async with running(Container(settings=pool_of_ten)) as container:
        await create_ledger(container)
        campaign = Campaign(
            container,
            work,
            (How.NATIVE, How.DOUBLE, How.TIMEOUT, How.ANYIO, How.GROUP),
            seed=random.SystemRandom().getrandbits(32),
        )
        async with no_leaks(container.engine()):
            await campaign.run(count)
            print(campaign)
        assert await campaign.problems() == []
        assert campaign.cancelled >= count
        if backend == "postgresql":
            outlasted = campaign.outlasted(pool_of_ten.database.cancel_grace)
            assert campaign.reconnects <= outlasted, "a statement shorter than the grace keeps its connection"
