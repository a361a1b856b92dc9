"""Every example runs as a program of its own, and prints what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from unitwork.testing.servers.databases import Databases

ROOT = Path(__file__).parent.parent
EXAMPLES: Final = sorted((ROOT / "examples").glob("*.py"))
PRINTS: Final = {
    "background_task.py": "not yet committed\n1 account\n1 done\n",
    "embed_in_script.py": "guest@example.com\n",
    "outbox_message.py": "handled\nnot waiting\nGuest\n",
    "override_in_test.py": "Ada Lovelace\n1 session\n",
    "worker_task.py": "0 accounts\n",
}


CELLS: Final = """
import ast, asyncio, inspect, sys
async def run():
    names = {}
    for cell in sys.argv[1:]:
        result = eval(compile(cell, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(result):
            await result
asyncio.run(run())
"""
"""Runs cells as a notebook's kernel does: in one loop, and with awaits at the top."""


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


def test_the_notebook_runs_from_top_to_bottom(databases: Databases, tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    environment = os.environ | {"DATABASE_URL": databases.create("sqlite"), "GATEHOUSE_VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CELLS, *cells],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("guest@example.com\n", "", 0)


def test_every_example_that_is_described_is_there() -> None:
    assert {path.name for path in EXAMPLES} == set(PRINTS)
