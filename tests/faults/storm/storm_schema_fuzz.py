"""The OpenAPI document's requests, by the thousand. GATEHOUSE_TEST_STORM takes a share of them."""

from pathlib import Path

import pytest

from tests.flows.schema_fuzzing import fuzzed, target

EXAMPLES = 200
"""Requests of each operation and kind."""


@pytest.mark.timeout(3600)
@pytest.mark.database("own")
def test_thousands_of_answers_are_all_ones_that_the_document_names(
    database_url: str, backend: str, tmp_path: Path, share: float
) -> None:
    with target(database_url, tmp_path) as server:
        print(f"schema fuzzing ({backend}): {fuzzed(server, max(10, round(EXAMPLES * share)))}")
