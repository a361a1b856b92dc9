"""A long file in bounded memory, an exact line at its end, and back without a difference. Storm: 100,000 rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIGURE
from tests.flows.large_csv_rounds import judged


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_long_file_goes_in_out_and_in_again_in_bounded_memory(
    database_url: str, other_url: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    figures = judged(3_000, tmp_path, database_url=database_url, other_url=other_url, within=100)
    record_property(FIGURE, figures)
