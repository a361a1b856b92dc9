"""A migration under traffic: refusals with Retry-After at most, and every later answer right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Settings
from tests.faults.migrating import migrated_under_traffic


@pytest.mark.timeout(120)
async def test_columns_change_their_types_under_every_endpoint_and_none_answers_500(
    private_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    traffic = await migrated_under_traffic(private_settings(), tmp_path, seconds=3, pause=0.05)
    answered = {what for what, status, _ in traffic.answers if status < 300}
    assert {"GET one", "PATCH", "POST", "list", "export", "history", "import", "login", "refresh"} <= answered
