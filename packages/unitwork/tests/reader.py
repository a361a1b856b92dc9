"""Run what a document shows as its reader would: in a folder of one's own, with nothing of this test run's."""

import os
import subprocess
import sys
from pathlib import Path


def run(folder: Path, *arguments: str, given: str = "") -> str:
    """Run Python in the folder and return what it prints. Fails the test, with both outputs, on an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "UNITWORK_"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**kept, "PYTHONPATH": str(folder)},
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
