"""The library's README and guides are run, with nothing beside them but what they show."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from packages.unitwork.tests.reader import run

PACKAGE: Final = Path(__file__).parent.parent
GUIDES: Final = sorted((PACKAGE / "docs").glob("*.md"))
RUNNER: Final = """
import ast, asyncio, inspect, json, os, pathlib, sys
for name, line, code in json.load(sys.stdin):
    folder = pathlib.Path(f"line_{line}")
    folder.mkdir()
    os.chdir(folder)
    program = compile("\\n" * line + code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(program, {"__name__": "__main__"})
    if inspect.iscoroutine(result):
        asyncio.run(result)
    os.chdir("..")
"""
"""Runs blocks whose statements may await, with the document's own line numbers, each in a folder of its own."""
OPTIONS: Final = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
unitwork_database = shop:open_shop
unitwork_backends = sqlite
pythonpath = .
"""


class Block(NamedTuple):
    """A fenced block; `line` is that of its fence."""

    document: Path
    line: int
    language: str
    code: str
    following: str
    """The text block right under it, which is what it prints; else nothing."""

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that it shows; None for a program or a test."""
        found = re.match(r"# (\S+\.\w+)\n", self.code)
        return found and found[1]


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", text, flags=re.MULTILINE | re.DOTALL)
    for fence in fences:
        yield Block(document, text.count("\n", 0, fence.start()) + 1, fence[1], fence[2], fence[3] or "")


PYTHON: Final = [one for guide in GUIDES for one in blocks(guide) if one.language == "python"]
FILES: Final = {one.file: one.code for one in PYTHON if one.file}
TESTS: Final = [one for one in PYTHON if not one.file and "def test_" in one.code]
PROGRAMS: Final = [one for one in PYTHON if not one.file and one not in TESTS]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the guides show, and nothing else."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("guide", sorted({one.document for one in PROGRAMS}), ids=lambda path: str(path.name))
def test_the_programs_of_a_guide_run(guide: Path, folder: Path) -> None:
    """In one process, as most of a program's time is its imports. A traceback has the guide's name and line."""
    programs = [(guide.name, one.line, one.code) for one in PROGRAMS if one.document == guide]
    run(folder, "-W", "error", "-c", RUNNER, given=json.dumps(programs))


@pytest.mark.parametrize("guide", sorted({one.document for one in TESTS}), ids=lambda path: str(path.name))
def test_the_tests_of_a_guide_pass_and_print_what_stands_under_them(guide: Path, folder: Path) -> None:
    """In one run, as a run takes ten times what a block does."""
    shown = [one for one in TESTS if one.document == guide]
    for one in shown:
        (folder / f"test_line_{one.line}.py").write_text(one.code, encoding="utf-8")
    (folder / "pytest.ini").write_text(OPTIONS, encoding="utf-8")
    printed = run(folder, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider").replace(f"{folder}{os.sep}", "")
    for one in shown:
        text = one.following.replace("test_block.py", f"test_line_{one.line}.py")
        expected = r"\s+".join("[^\n]+" if word == "…" else re.escape(word) for word in text.split())
        assert re.search(expected, printed), printed


def test_the_guides_have_programs_tests_and_the_module_that_they_share() -> None:
    assert set(FILES) == {"shop.py"}
    assert len(PROGRAMS) > 20
    assert len(TESTS) > 5


@pytest.mark.parametrize("document", [PACKAGE / "README.md", *GUIDES], ids=lambda path: str(path.name))
def test_the_library_is_told_without_the_application(document: Path) -> None:
    for one in blocks(document):
        imported = (
            re.findall(r"^(?:from|import) (\w+)", one.code, flags=re.MULTILINE) if one.language == "python" else []
        )
        assert not {"app", "domain", "repositories", "services", "settings"} & set(imported)
    assert not re.search(r"GATEHOUSE_|pip install gatehouse", document.read_text(encoding="utf-8"))
