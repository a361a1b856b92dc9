"""docs/guides/adding-a-resource.md, followed in a copy of the project: it ends with endpoints that work. So does its
program, for another noun.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from unitwork.testing.servers.databases import Databases

GUIDE: Final = (ROOT / "docs" / "guides" / "adding-a-resource.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
ROOMS: Final = ("app", "docs", "domain", "migrations", "packages", "repositories", "services", "settings", "tests")
PAGES: Final = ("containers.py", "pyproject.toml", "alembic.ini")
PROGRAM: Final = "docs/guides/adding_a_resource.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for room in ROOMS:
        shutil.copytree(ROOT / room, project / room, ignore=ignored)
    for page in PAGES:
        shutil.copy(ROOT / page, project / page)
    return project


@pytest.mark.timeout(240)
def test_a_resource_is_added_by_following_the_guide_and_nothing_in_the_library(
    databases: Databases, project: Path
) -> None:
    touched = _run([sys.executable, PROGRAM, "order"], project, "").split()
    named = re.findall(r"^```python\n# (?:in )?([\w/.]+)", GUIDE, flags=re.MULTILINE)
    assert touched == list(dict.fromkeys(named))
    assert {name.partition("/")[0] for name in touched} == {
        "app",
        "containers.py",
        "domain",
        "repositories",
        "services",
        "tests",
    }
    for name in touched:
        shown = [code for language, code in BLOCKS if language == "python" and code.startswith(f"# {name}\n")]
        assert not shown or (project / name).read_text(encoding="utf-8") == shown[0].partition("\n")[2]
    printed = _run(["sh", "-eux", "-c", script()], project, databases.create("sqlite", migrated=False))
    assert len(re.findall(r"^\d+ passed", printed, flags=re.MULTILINE)) == 1, printed
    assert "id\treference\tpieces\tstatus\tnote" in printed
    _run(["git", "init", "--quiet"], project, "")  # which these tests ask for the sources
    held = ("tests/test_architecture.py", "tests/test_graph.py", "tests/app/api/test_openapi.py")
    _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *held], project, "")
    (migration,) = (project / "migrations" / "versions").glob("0100_*.py")
    assert "'orders'" in migration.read_text(encoding="utf-8")
    assert _sources(project / "packages") == _sources(ROOT / "packages")
    assert _run([sys.executable, "-m", "ruff", "check", "--quiet", *sorted(touched)], project, "") == ""
    assert _run([sys.executable, "-m", "ruff", "format", "--check", "--quiet", *sorted(touched)], project, "") == ""


@pytest.mark.timeout(240)
def test_the_program_adds_one_by_another_noun(databases: Databases, project: Path) -> None:
    touched = _run([sys.executable, PROGRAM, "stock_entry", "stock_entries"], project, "").split()
    assert "services/stock_entry_service.py" in touched
    for name in touched:
        assert not re.search(r"[oO]rder(?!_by|\w* by)", _added(project, name)), name
    script_of_it = script().replace("orders", "stock_entries")
    printed = _run(["sh", "-eux", "-c", script_of_it], project, databases.create("sqlite", migrated=False))
    assert len(re.findall(r"^\d+ passed", printed, flags=re.MULTILINE)) == 1, printed
    # A docstring that a longer noun has made too long is the reader's to wrap.
    checked = _run([sys.executable, "-m", "ruff", "check", "--ignore=E501", "--quiet", *sorted(touched)], project, "")
    assert checked == ""


def test_the_program_writes_nothing_where_a_noun_is_taken_or_none(project: Path) -> None:
    before = _sources(project)
    for noun, says in (("user", "domain/user.py is there already"), ("Order", "small letters")):
        done = _do([sys.executable, PROGRAM, noun], project, "")
        assert done.returncode != 0
        assert says in done.stderr
    assert _sources(project) == before


def script() -> str:
    (code,) = (str(code) for language, code in BLOCKS if language == "sh")
    return code


def _added(project: Path, name: str) -> str:
    """What the program wrote: the file's lines that weren't there."""
    there = ROOT / name
    old = set(there.read_text(encoding="utf-8").splitlines()) if there.exists() else set()
    return "\n".join(line for line in (project / name).read_text(encoding="utf-8").splitlines() if line not in old)


def _sources(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


def _run(command: list[str], folder: Path, database: str) -> str:
    done = _do(command, folder, database)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _do(command: list[str], folder: Path, database: str) -> subprocess.CompletedProcess[str]:
    """As a reader would, with this environment's programs and the server of this run."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("GATEHOUSE_TEST_") or not name.startswith(("GATEHOUSE_", "PYTEST", "PYTHON"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "DATABASE_URL": database,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
