"""docs/guides/adding-a-resource.md, followed in a copy of the project: it ends with endpoints that work."""

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
ROOMS: Final = ("app", "domain", "migrations", "packages", "repositories", "services", "settings", "tests")
PAGES: Final = ("containers.py", "pyproject.toml", "alembic.ini")


def follow(project: Path) -> set[str]:
    """Do what the guide says; the files that were touched."""
    touched: set[str] = set()
    for language, code in BLOCKS:
        first, _, rest = code.partition("\n")
        if language != "python":
            continue
        if place := re.fullmatch(r"# in (\S+), before: (.+)", first):
            name, anchor = place.groups()
            lines = (project / name).read_text(encoding="utf-8").splitlines(keepends=True)
            (at, *_) = (number for number, line in enumerate(lines) if line.startswith(anchor))
            lines.insert(at, rest)
            (project / name).write_text("".join(lines), encoding="utf-8")
        else:
            name = first.removeprefix("# ")
            assert not (project / name).exists()
            (project / name).write_text(code, encoding="utf-8")
        touched.add(name)
    return touched


@pytest.mark.timeout(240)
def test_orders_are_added_by_following_the_guide_and_nothing_in_the_library(
    databases: Databases, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    for room in ROOMS:
        shutil.copytree(ROOT / room, project / room, ignore=ignored)
    for page in PAGES:
        shutil.copy(ROOT / page, project / page)
    touched = follow(project)
    assert {name.partition("/")[0] for name in touched} == {
        "app",
        "containers.py",
        "domain",
        "repositories",
        "services",
        "tests",
    }
    (script,) = (code for language, code in BLOCKS if language == "sh")
    printed = _run(["sh", "-eux", "-c", script], project, databases.create("sqlite", migrated=False))
    assert re.search(r"^\d+ passed", printed, flags=re.MULTILINE), printed
    (migration,) = (project / "migrations" / "versions").glob("0100_*.py")
    assert "'orders'" in migration.read_text(encoding="utf-8")
    assert _sources(project / "packages") == _sources(ROOT / "packages")
    checked = _run([sys.executable, "-m", "ruff", "check", "--quiet", *sorted(touched)], project, "")
    assert checked == ""


def _sources(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


def _run(command: list[str], folder: Path, database: str) -> str:
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
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
