"""Requests made up from the OpenAPI document: whatever comes, the answer is one that the document names."""

from pathlib import Path
from typing import Any

from tests.flows.schema_fuzzing import fuzzed, target

EXAMPLES = 6
"""Requests of each operation and kind; the storm makes more."""


def test_every_answer_is_one_that_the_document_names(
    database_url: str, backend: str, tmp_path: Path, record_property: Any
) -> None:
    with target(database_url, tmp_path) as server:
        record_property("figure", f"schema fuzzing ({backend}): {fuzzed(server, EXAMPLES)}")
