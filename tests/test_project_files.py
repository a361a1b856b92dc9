"""What people expect of a project they may depend on: licence, versions, hooks and a workflow that say what is so."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.conftest import ROOT

LIBRARY: Final = ROOT / "packages" / "unitwork"
PYTHONS: Final = ["3.11", "3.12", "3.13", "3.14"]
BUILD: Final = "from setuptools.build_meta import build_sdist, build_wheel; build_wheel('dist'); build_sdist('dist')"


def project(folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def commands(target: str) -> list[str]:
    """The lines of a target of the Makefile, as a shell gets them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (lines,) = re.findall(rf"^{re.escape(target)}:[^\n]*\n((?:\t[^\n]*\n)+)", makefile, flags=re.MULTILINE)
    return [line.lstrip("\t@").replace("$(BIN)", ".venv/bin") for line in lines.splitlines()]


def parsed(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.timeout(120)
def test_the_library_is_built_with_its_licence_and_what_it_says_of_itself(tmp_path: Path) -> None:
    shutil.copytree(LIBRARY, tmp_path / "unitwork", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    built = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=tmp_path / "unitwork", capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    licence = (ROOT / "LICENSE").read_bytes()
    version = project(LIBRARY)["version"]
    with zipfile.ZipFile(tmp_path / "unitwork" / "dist" / f"unitwork-{version}-py3-none-any.whl") as wheel:
        assert wheel.read(f"unitwork-{version}.dist-info/licenses/LICENSE") == licence
        metadata = wheel.read(f"unitwork-{version}.dist-info/METADATA").decode()
        assert "unitwork/py.typed" in wheel.namelist()
        rooms = {name.partition("/")[0] for name in wheel.namelist()}
        assert rooms == {"unitwork", f"unitwork-{version}.dist-info"}
    with tarfile.open(tmp_path / "unitwork" / "dist" / f"unitwork-{version}.tar.gz") as sources:
        assert f"unitwork-{version}/LICENSE" in sources.getnames()
        assert f"unitwork-{version}/CHANGELOG.md" in sources.getnames()
    assert "License-Expression: MIT\n" in metadata
    assert "Classifier: Typing :: Typed\n" in metadata
    assert "Classifier: Private" not in metadata


@pytest.mark.parametrize("folder", [ROOT, LIBRARY], ids=["service", "library"])
def test_the_licence_is_named_and_there(folder: Path) -> None:
    named = project(folder)
    assert named["license"].split(" AND ")[0] == "MIT"
    for pattern in named["license-files"]:
        assert list(folder.glob(pattern)), f"{pattern} names no file"
    assert (folder / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n\nCopyright (c)")


@pytest.mark.parametrize("folder", [ROOT, LIBRARY], ids=["service", "library"])
def test_the_pythons_that_are_named_are_those_that_the_workflow_runs_on(folder: Path) -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [name.rpartition(" ")[2] for name in project(folder)["classifiers"] if name.startswith(prefix)]
    assert named == PYTHONS
    assert parsed(".github/workflows/ci.yml")["jobs"]["pythons"]["strategy"]["matrix"]["python"] == PYTHONS
    assert f"| Python | {', '.join(PYTHONS)} |" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_librarys_version_is_a_semantic_one_and_heads_its_changelog() -> None:
    version = project(LIBRARY)["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"unitwork[metrics,migrations,postgresql,sqlite]=={version}" in project(ROOT)["dependencies"]
    text = (LIBRARY / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"^## \[(.+?)\]", text, flags=re.MULTILINE)
    assert first == "Unreleased"
    assert (others and others[0] == version) or f"This will be {version}," in text
    kinds = set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_hooks_are_what_make_check_runs_and_fetch_nothing() -> None:
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks]
    assert entries == [command.removesuffix(" .") for command in commands("check")]


def test_the_workflow_runs_what_a_person_runs_with_each_server_that_ci_asks_for() -> None:
    jobs = parsed(".github/workflows/ci.yml")["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert runs == [".ci/run", "make test PYTHON=python${{ matrix.python }}", "make docs"]
    asked = set(re.findall(r"^answers (\d+) ", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE))
    published = {port.partition(":")[0] for one in jobs["everything"]["services"].values() for port in one["ports"]}
    assert published == asked


def test_a_report_of_a_weakness_goes_to_the_private_form_and_to_no_address() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private report form" in text
    assert "@" not in text
    assert f"`{project(LIBRARY)['name']}`" in text
