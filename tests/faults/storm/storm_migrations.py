"""Half a minute of traffic over every endpoint, while the types of every table's columns change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Settings
from tests.faults.migrating import migrated_under_traffic

SECONDS = 30


@pytest.mark.timeout(300)
@pytest.mark.parametrize("pause", [0.3, 0.02], ids=["now and then", "without a pause"])
async def test_half_a_minute_of_migrations_answers_no_500(
    private_settings: Callable[..., Settings], tmp_path: Path, share: float, pause: float
) -> None:
    await migrated_under_traffic(private_settings(), tmp_path, seconds=SECONDS * share, pause=pause)
