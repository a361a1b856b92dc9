"""The library by itself: what its façades import, and what its README shows."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parent.parent
README: Final = (PACKAGE / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
WITHOUT_EXTRAS: Final = """
import runpy, sys

EXTRAS = {"aiosqlite", "alembic", "asyncmy", "asyncpg", "oracledb", "opentelemetry", "prometheus_client", "pytest"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
import required_only
required_only.find_spec = lambda _name: None
sys.exit(required_only.main())
"""


def test_the_required_packages_are_enough_for_every_facade() -> None:
    done = _run("-c", WITHOUT_EXTRAS, str(PACKAGE / "tests"))
    assert (done.returncode, done.stdout) == (0, "imported without being asked for: nothing\n"), done.stderr


def test_the_readme_begins_with_an_example_that_runs(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(BLOCKS[0], encoding="utf-8")
    done = _run("shop.py", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Ada has 1 order\n"), done.stderr


@pytest.mark.parametrize("code", BLOCKS[1:])
def test_the_readme_shows_code_that_python_reads(code: str) -> None:
    compile(code, "README.md", "exec")


def test_the_typed_marker_is_in_the_package() -> None:
    assert (PACKAGE / "src" / "unitwork" / "py.typed").read_text(encoding="utf-8") == ""


def _run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=kept, capture_output=True, text=True, timeout=60, check=False
    )
