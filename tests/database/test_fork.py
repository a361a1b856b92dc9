"""A fork with an open pool: figure 11."""

import json
import subprocess
import sys

from tests.conftest import ROOT

ROUNDS = 60
# Python 3.12 warns of every fork beside threads; here the child uses nothing of theirs.
WARNINGS = ("-W", "error::ResourceWarning", "-W", "ignore:This process:DeprecationWarning")


def test_parent_and_child_each_with_its_own_container_are_right_in_60_of_60(database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, *WARNINGS, "-m", "tests.database.fork_rounds", database_url, str(ROUNDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"right": ROUNDS, "rows": 3 * ROUNDS, "left": 0}
    assert done.stderr == ""
