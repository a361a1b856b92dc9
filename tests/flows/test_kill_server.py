"""`kill -9` of a server that writes: nothing is half stored, and what was answered is stored. Storm: 50 rounds."""

from pathlib import Path

from containers import Container
from tests.flows.killed_server import killed_rounds


async def test_killed_5_times_under_writes_nothing_is_half_stored_and_nothing_answered_is_missing(
    container: Container, tmp_path: Path
) -> None:
    await killed_rounds(container, tmp_path, rounds=5)
