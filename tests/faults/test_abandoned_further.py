"""Units that are let go after an error: nobody keeps the error's frames, so that nobody keeps the unit."""

import random

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.abandonments import Abandonments, Form
from tests.faults.abandonments_further import FURTHER

RUNS = 4


@pytest.fixture
def pool_of_two(settings: Settings) -> Settings:
    database = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 5.0})
    return settings.model_copy(update={"database": database})


@pytest.mark.parametrize("form", FURTHER.values(), ids=FURTHER.keys())
async def test_a_unit_let_go_after_an_error_is_torn_down(pool_of_two: Settings, backend: str, form: Form) -> None:
    async with running(Container(settings=pool_of_two)) as container:
        campaign = Abandonments(container, form, seed=random.SystemRandom().getrandbits(32))
        await campaign.run(RUNS)
        print(campaign)
        assert await campaign.problems() == []
