"""Documents are run: what README and the guides show works as shown, and every link leads somewhere."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from pydantic import BaseModel

from app.cli import main
from settings import Settings
from unitwork.testing.servers.databases import Databases

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
LIBRARY: Final = ROOT / "packages" / "unitwork"
DOCUMENTS: Final = sorted(
    (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *LIBRARY.glob("*.md"), *(LIBRARY / "docs").rglob("*.md"))
)
RUN: Final = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
"""Documents whose Python blocks are programs; the library's are run by its own tests."""

ADDRESS: Final = "http://127.0.0.1:8000"
TOKEN: Final = "gh_…"
POSTGRESQL: Final = "postgres://gatehouse:secret@localhost:5432/gatehouse"
"""What README says instead of a reader's own server, token and database."""

RUNNER: Final = """
import ast, asyncio, inspect, sys
name, line, code = sys.argv[1:]
code = compile("\\n" * int(line) + code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
result = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(result):
    asyncio.run(result)
"""
"""Runs a block whose statements may await, with the document's own line numbers."""


class Block(NamedTuple):
    """A fenced block; `line` is that of its fence."""

    document: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{_name(self.document)}:{self.line}"


def _name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def _blocks(document: Path, *languages: str) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for fence in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if fence[1] in languages:
            yield Block(document, text.count("\n", 0, fence.start()) + 1, fence[1], fence[2])


def _prose(document: Path) -> str:
    return re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _inline_code(document: Path) -> list[str]:
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", _prose(document))]


PYTHON: Final = [
    block
    for document in RUN
    for block in _blocks(document, "python")
    if not re.match(r"# (in )?\S+\.py(, before: .+)?\n", block.code)
]
"""But those that begin with the name of a file: they are no programs by themselves (test_testing_guide.py and
test_resource_guide.py).
"""

TESTS: Final = [block for block in PYTHON if "def test_" in block.code]
PROGRAMS: Final = [block for block in PYTHON if block not in TESTS]


@pytest.fixture
def environment(databases: Databases, tmp_path: Path) -> dict[str, str]:
    """What a reader has: a migrated database, and nothing else of this test run's settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTEST"))}
    own = {"DATABASE_URL": databases.create("sqlite"), "GATEHOUSE_VAR_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    return inherited | own


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_python_block_runs(block: Block, environment: dict[str, str], tmp_path: Path) -> None:
    """Trap 20: documented examples did not run."""
    if block.document == README:  # as its own `make run` has left the database
        _run([sys.executable, "-m", "app", "demo", "seed"], environment, tmp_path)
    arguments = ["-W", "error", "-c", RUNNER, _name(block.document), str(block.line), block.code]
    _run([sys.executable, *arguments], environment, tmp_path)


@pytest.mark.parametrize("document", sorted({block.document for block in TESTS}), ids=_name)
def test_python_blocks_that_are_tests_pass(document: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """A document's in one run, as a run takes ten times what a block does."""
    for block in TESTS:
        if block.document == document:
            (tmp_path / f"test_line_{block.line}.py").write_text(block.code, encoding="utf-8")
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]
    _run([sys.executable, *arguments], environment, tmp_path)


def test_the_shell_lines_of_the_readme_do_what_they_say(
    environment: dict[str, str], databases: Databases, tmp_path: Path
) -> None:
    curl, make = shutil.which("curl"), shutil.which("make")
    if curl is None or make is None:
        pytest.skip("curl and make are not both installed")
    places = tmp_path / "bin"
    places.mkdir()
    # A server would serve until the end of days: its arguments are checked and it isn't started.
    _command(places / "gatehouse", f'[ "$1" != serve ] || set -- "$@" --help\nexec "{sys.executable}" -m app "$@"')
    _command(places / "make", f'exec "{make}" --dry-run --directory "{ROOT}" "$@" >/dev/null')
    _command(places / "curl", f'exec "{curl}" --silent --show-error --fail-with-body "$@"')
    environment["PATH"] = f"{places}{os.pathsep}{environment['PATH']}"
    with _served(environment, tmp_path) as (address, token):
        postgresql = databases.create("postgresql", migrated=False)
        script = "\n".join(block.code for block in _blocks(README, "sh"))
        for shown, real in ((ADDRESS, address), (TOKEN, token), (POSTGRESQL, postgresql)):
            assert shown in script
            script = script.replace(shown, real)
        printed = _run(["sh", "-eux", "-c", script], environment, tmp_path)
    databases.drop(postgresql)
    assert '"display_name":"Alan Kay"' in printed
    assert "2\t2\t0\t0" in printed, "the import takes both rows"
    assert "Annie Easley" in printed
    assert (tmp_path / "accounts.csv").read_text(encoding="utf-8").count("\n") == 2 + 11 + 1 + 2 + 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_commands_that_prose_names_exist(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for code in _inline_code(document):
        program, *words = code.split(" ")
        if program == "make" and words:
            assert re.search(rf"^{words[0]}:", makefile, flags=re.MULTILINE), f"there is no `{code}`"
        if program == "gatehouse":
            command = list(takewhile(re.compile("[a-z][a-z-]*$").match, words))
            assert main([*command, "--help"]) == 0, f"there is no `{code}`: {capsys.readouterr().err}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_settings_that_documents_name_exist(document: Path) -> None:
    known = {*_variables(Settings, "GATEHOUSE_"), "GATEHOUSE_SECRETS_DIR"}
    named = set(re.findall(r"GATEHOUSE_[A-Z_]*[A-Z]", document.read_text(encoding="utf-8")))
    assert {name for name in named - known if not name.startswith("GATEHOUSE_TEST_")} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(document)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        assert found.exists(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", _prose(found), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


DECISIONS: Final = ROOT / "docs" / "decisions"
RECORDS: Final = {path.name[:4]: path.read_text(encoding="utf-8") for path in sorted(DECISIONS.glob("[0-9]*.md"))}


def test_every_decision_is_in_the_index_once_with_its_status() -> None:
    records = sorted(DECISIONS.glob("[0-9]*.md"))
    assert len(records) == len(RECORDS), "two records have one number"
    rows = re.findall(
        r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \| (.+) \|$",
        (DECISIONS / "README.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert sorted(name for _, name, _, _ in rows) == [record.name for record in records]
    for number, _, title, status in rows:
        text = RECORDS[number]
        assert text.startswith(f"# {number}: {title}\n")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Consequences"]
        changed = _changed("Amended|Replaced", number)
        said = re.findall(r"\[(\d{4})\]", status)
        assert said == changed, f"{number}: the index has {said}, the record {changed}"
        assert said or status == "in force"


def test_what_amends_a_decision_is_said_in_both() -> None:
    for number in RECORDS:
        for later in _changed("Amended|Replaced", number):
            assert number in _changed("Amends|Replaces", later), f"{later} does not say that it amends {number}"
        for earlier in _changed("Amends|Replaces", number):
            assert number in _changed("Amended|Replaced", earlier), f"{earlier} does not say that {number} amends it"


def test_the_modules_that_decisions_name_exist() -> None:
    for number, text in RECORDS.items():
        for name in re.findall(r"`(\w+(?:/\w+)+\.py)`", text):
            there = (ROOT / name, LIBRARY / "src" / name)
            assert any(path.exists() for path in there), f"{number} names {name}, which is not there"


def _changed(word: str, number: str) -> list[str]:
    """The numbers that a record's own line of this word names, above its first section."""
    above, _, _ = RECORDS[number].partition("\n## ")
    return [
        one
        for said in re.findall(rf"^(?:{word})\b(?:.|\n.)*", above, flags=re.MULTILINE)
        for one in re.findall(r"\[(\d{4})\]", said)
    ]


def _run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _command(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o700)


@contextmanager
def _served(environment: dict[str, str], folder: Path) -> Iterator[tuple[str, str]]:
    """What `make run` runs, on a free port; gives its address and the token it prints."""
    log = folder / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "app", "demo", "run"],
            env=environment | {"PORT": "0"},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            printed: dict[str, str] = {}
            while "Token" not in printed and (line := server.stdout.readline()):
                name, _, value = line.partition(" ")
                printed[name] = value.strip()
            assert "Token" in printed, log.read_text()
            yield printed["API"].removesuffix("/v1/users"), printed["Token"]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        yield prefix + name.upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _variables(kind, f"{prefix}{name.upper()}__")
