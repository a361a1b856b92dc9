"""Runs `tests.flows.large_csv` and judges what it prints."""

import json
import subprocess
import sys
from pathlib import Path

from tests.flows.server import environment

MEMORY: int = 64 * 1024 * 1024
"""Bytes that an import and two exports may take, however long the file is."""


def judged(rows: int, folder: Path, *, database_url: str, other_url: str, within: float) -> str:
    """Fails unless the round trip keeps everything in bounded memory; gives the figures in a line."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows.large_csv", str(rows), str(folder)],
        env=environment(DATABASE_URL=database_url, OTHER_URL=other_url, GATEHOUSE_VAR_DIR=str(folder)),
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["imported"], told["rejected"]) == (rows, rows - 1, [rows])
    assert (told["back"], told["kept"]) == (rows - 1, True), "what is exported comes back as it was"
    assert told["import_memory"] < MEMORY
    assert told["memory"] < MEMORY
    return f"{rows} rows: {told}"
