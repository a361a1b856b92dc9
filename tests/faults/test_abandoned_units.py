"""Units that are let go, or ended by another task: nobody else notices, and nothing answered is lost."""

import random

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.abandonments import FORMS, Abandonments, Form

RUNS = 200


@pytest.fixture
def pool_of_two(settings: Settings) -> Settings:
    database = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 30.0})
    return settings.model_copy(update={"database": database})


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_200_abandoned_units_lose_nothing_and_disturb_nobody(pool_of_two: Settings, form: Form) -> None:
    async with running(Container(settings=pool_of_two)) as container:
        campaign = Abandonments(container, form, seed=random.SystemRandom().getrandbits(32))
        await campaign.run(RUNS)
        print(campaign)
        assert await campaign.problems() == []
