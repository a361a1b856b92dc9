"""Every example runs as a program of its own, and prints what it says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from database.testing.databases import Databases

ROOT = Path(__file__).parent.parent
EXAMPLES: Final = sorted((ROOT / "examples").glob("*.py"))
PRINTS: Final = {
    "embed_in_script.py": "guest@example.com\n",
    "override_in_test.py": "Ada Lovelace\n1 session\n",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_prints_what_it_says(example: Path, databases: Databases, tmp_path: Path) -> None:
    assert example.name in PRINTS, f"say in PRINTS what {example.name} prints"
    environment = os.environ | {"DATABASE_URL": databases.create("sqlite"), "GATEHOUSE_VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", example],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (PRINTS[example.name], "", 0)


def test_every_example_that_is_described_is_there() -> None:
    assert {path.name for path in EXAMPLES} == set(PRINTS)
