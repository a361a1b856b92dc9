"""2,000 units of each form that are let go of, or ended by another task, over a pool of two."""

import pytest

from containers import Container, running
from settings import Settings
from tests.faults.abandonments import FORMS, Abandonments, Form
from tests.faults.abandonments_further import FURTHER


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_2000_abandoned_units_lose_nothing(settings: Settings, seed: int, share: float, form: Form) -> None:
    database = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 30.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        campaign = Abandonments(container, form, seed=seed)
        await campaign.run(max(int(2_000 * share), 1))
        print(f"\n{campaign}")
        problems = await campaign.problems()
        assert not problems, "\n".join(problems[:20])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("form", FURTHER.values(), ids=FURTHER.keys())
async def test_100_units_let_go_after_an_error_lose_nothing(
    settings: Settings, backend: str, seed: int, share: float, form: Form
) -> None:
    """Fewer than of the other forms: each waits for the error of a statement that is interrupted."""
    database = settings.database.model_copy(update={"pool_size": 2, "max_overflow": 0, "pool_timeout": 30.0})
    async with running(Container(settings=settings.model_copy(update={"database": database}))) as container:
        campaign = Abandonments(container, form, seed=seed)
        await campaign.run(max(int(100 * share), 1))
        print(f"\n{backend}: {campaign}")
        problems = await campaign.problems()
        assert not problems, "\n".join(problems[:20])
