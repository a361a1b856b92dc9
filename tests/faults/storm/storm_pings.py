"""10,000 cancellations of units whose connection is checked each time they take it from the pool."""

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.campaign import Campaign, How
from tests.faults.leaks import no_leaks
from tests.faults.ledger import create_ledger
from tests.faults.suspensions import pinging
from tests.faults.work import WRITES


@pytest.mark.timeout(3600)
async def test_cancelled_at_random_in_pings_too_no_place_in_the_pool_is_lost(
    settings: Settings, seed: int, share: float
) -> None:
    count = max(int(10_000 * share), 1)
    pinged = pinging(settings)
    database = pinged.database.model_copy(update={"pool_size": 4, "max_overflow": 0, "pool_timeout": 30.0})
    async with running(Container(settings=pinged.model_copy(update={"database": database}))) as container:
        await create_ledger(container)
        campaign = Campaign(container, WRITES, tuple(How), seed=seed)
        async with no_leaks(container.engine()):
            await campaign.run(count)
            print(f"\n{campaign}")
        problems = await campaign.problems()
        assert not problems, "\n".join(problems[:20])
        assert campaign.cancelled >= count
