"""docs/guides/testing.md: its project is built outside the tree and tested there. Its tables, and those of
the library's guide, name what there is.
"""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from app.testing import fixtures, plugin
from tests.conftest import ROOT
from unitwork.testing import errors as database_errors
from unitwork.testing import fixtures as the_librarys_fixtures
from unitwork.testing import plugin as the_librarys_plugin
from unitwork.testing.fakes import errors as repository_errors

GUIDE: Final = (ROOT / "docs" / "guides" / "testing.md").read_text(encoding="utf-8")
LIBRARYS: Final = (ROOT / "packages" / "unitwork" / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
FILES: Final = {found[1]: code for _, code in BLOCKS if (found := re.match(r"# (\S+\.\w+)\n", code))}
"""Blocks that begin with the name of a file are the project."""


def test_the_project_of_the_guide_passes_its_tests_outside_the_tree(tmp_path: Path) -> None:
    for name, code in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
    (script,) = (code for language, code in BLOCKS if language == "sh")
    printed = _run(["sh", "-eux", "-c", script], tmp_path)
    assert re.findall(r"^=+ (\d+ passed) in", printed, flags=re.MULTILINE) == ["2 passed", "2 passed", "1 passed"]
    assert len(re.findall(r"^ran on: sqlite \S+, postgresql \d", printed, flags=re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("guide", "kit"), [(GUIDE, fixtures), (LIBRARYS, the_librarys_fixtures)], ids=["service", "library"]
)
def test_the_guide_lists_every_fixture_of_its_kit(guide: str, kit: Any) -> None:
    there_are = {
        str(value.name or name)
        for name, value in vars(kit).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    }
    assert _first_column(guide, "fixture") == there_are


@pytest.mark.parametrize(
    ("guide", "kit"), [(GUIDE, plugin), (LIBRARYS, the_librarys_plugin)], ids=["service", "library"]
)
def test_the_guide_lists_every_option_of_its_kit(guide: str, kit: Any) -> None:
    assert _first_column(guide, "option") == set(re.findall(r'addini\(\s*"(\w+)"', inspect.getsource(kit)))


@pytest.mark.parametrize("module", [database_errors, repository_errors])
def test_the_guide_says_what_to_do_about_every_error_of_the_kit(module: Any) -> None:
    there_are = {
        name for name, error in inspect.getmembers(module, inspect.isclass) if error.__module__ == module.__name__
    }
    assert there_are <= _first_column(LIBRARYS, "error")


def _first_column(guide: str, heading: str) -> set[str]:
    return set(_cells(guide, heading))


def _cells(guide: str, heading: str) -> Iterator[str]:
    _, _, rest = guide.partition(f"\n| {heading} |")
    for line in rest.split("\n\n", 1)[0].splitlines()[2:]:
        yield line.split("|")[1].strip().strip("`")


def _run(command: list[str], folder: Path) -> str:
    """As a reader would: with the server of this run, and nothing else of its environment."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("GATEHOUSE_TEST_") or not name.startswith(("GATEHOUSE_", "PYTEST", "PYTHON"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
