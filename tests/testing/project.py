"""A project somewhere else that uses the kit: its own pytest, in its own folder."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from unitwork.testing.servers.postgresql import POSTGRESQL_URL

LOOP = "asyncio_default_fixture_loop_scope"


@dataclass(frozen=True)
class Ran:
    """What pytest said."""

    code: int
    out: str

    def passed(self) -> int:
        """How many tests passed; none may have failed."""
        assert self.code == 0, self.out
        found = re.search(r"^(\d+) passed", self.out, flags=re.MULTILINE)
        assert found is not None, self.out
        return int(found[1])


class Project:
    """A folder with tests, run by a pytest that loads the kit with one line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ini("")

    def ini(self, *lines: str) -> None:
        """Set the options, besides the one line that loads the kit."""
        ours = ["[pytest]", "addopts = -p app.testing", "filterwarnings = error"]
        if not any(line.startswith(LOOP) for line in lines):
            ours.append(f"{LOOP} = function")  # pytest-asyncio warns where it is unset
        self.write("pytest.ini", "\n".join((*ours, *lines)))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def run(self, *options: str, server: bool = True) -> Ran:
        """`server` False: the environment names none."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        if not server:
            for name in (POSTGRESQL_URL, "GATEHOUSE_TEST_POSTGRESQL_URL"):
                kept.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
            env={**kept, "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.folder)))},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        return Ran(done.returncode, done.stdout + done.stderr)
