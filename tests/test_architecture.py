"""The house's rules that import-linter and ruff can't see."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "types", "constants"}
OUTSIDE = ("tests/", "examples/", "benchmarks/")
"""Projects of their own: what they show is how one extends the page."""
FACADES = {
    "unitwork",
    "unitwork.audit",
    "unitwork.dao",
    "unitwork.errors",
    "unitwork.models",
    "unitwork.monitor",
    "unitwork.monitor.metrics",
    "unitwork.testing",
    "unitwork.testing.fakes",
    "unitwork.testing.plugin",
}
"""What the library promises to keep; the metrics and the plugin apart, as each needs an extra."""
MAX_LINES = 400
"""More is a sign of two nouns; a file is split by noun, and never by its length alone."""


def sources() -> list[Path]:
    """Every Python file of the project, new ones too."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return sorted(path for name in listed if (path := ROOT / name).exists())


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def importing(package: str, *rooms: str) -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for path in sources()
        if room(path) in rooms or not rooms
        for name in imports(path)
        if name == package or name.startswith(f"{package}.")
    ]


def test_there_are_sources_to_judge() -> None:
    names = {str(path.relative_to(ROOT)) for path in sources()}
    assert {"containers.py", "domain/user.py", "tests/test_architecture.py"} <= names


def test_only_containers_imports_dependency_injector() -> None:
    assert [name for name in importing("dependency_injector") if not name.startswith(OUTSIDE)] == ["containers.py"]


@pytest.mark.parametrize("package", ["sqlalchemy.ext.asyncio", "asyncpg", "aiosqlite", "anyio", "asyncio"])
def test_the_domain_does_no_io(package: str) -> None:
    assert importing(package, "domain") == []


@pytest.mark.parametrize("package", ["sqlalchemy", "fastapi", "starlette", "typer", "settings", "containers"])
def test_services_speak_neither_sql_nor_http(package: str) -> None:
    assert importing(package, "services") == []


@pytest.mark.parametrize("other", ["app", "containers", "domain", "migrations", "repositories", "services"])
def test_settings_are_a_leaf(other: str) -> None:
    assert importing(other, "settings") == []


def test_the_application_imports_the_library_by_its_facades() -> None:
    rooms = {"app", "containers.py", "domain", "examples", "migrations", "repositories", "services", "settings"}
    named = {
        (str(path.relative_to(ROOT)), name)
        for path in sources()
        if room(path) in rooms
        for name in imports(path)
        if name.split(".")[0] == "unitwork"
    }
    assert named
    assert {(path, name) for path, name in named if name not in FACADES} == set()


def test_no_source_file_is_longer_than_a_few_pages() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}


def test_imports_are_absolute_and_from_this_python() -> None:
    for path in sources():
        named = list(imports(path))
        assert not [name for name in named if name.startswith(".")], path
        assert "__future__" not in named, path


def test_files_are_named_by_noun() -> None:
    assert [path for path in sources() if path.stem.lower() in FORBIDDEN_NAMES] == []
    assert [path for path in sources() if FORBIDDEN_NAMES & set(path.relative_to(ROOT).parts)] == []


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text(encoding="utf-8").strip()
        and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def test_containers_is_one_page_that_only_wires() -> None:
    text = (ROOT / "containers.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 250, "a page that is read in one go, with room for some resources more"
    tree = ast.parse(text)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes] == ["Container"]
    page = list(ast.walk(classes[0]))
    acting = (ast.Lambda, ast.If, ast.IfExp, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.Try)
    assert [node for node in page[1:] if isinstance(node, acting)] == []
    assert [node.value for node in page if isinstance(node, ast.Constant) and isinstance(node.value, str)] == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def test_the_same_test_name_is_not_written_twice() -> None:
    """The second would hide the first."""
    for path in sources():
        if room(path) == "tests":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert len(names) == len(set(names)), path
