"""Importing any module needs no environment and does no I/O (trap 26)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "packages" / "unitwork" / "src"
PACKAGES = ["app", "domain", "repositories", "services", "settings"]

IMPORT_AND_SPY = """
import os, sys
sys.path[:0] = [sys.argv[1], sys.argv[4]]
sys.dont_write_bytecode = True

READ = []
OURS = ("GATEHOUSE_", "DATABASE_URL", "REDIS_URL", "PORT", "LOG_LEVEL")

class Spy(type(os.environ)):
    def __getitem__(self, name):
        if str(name).startswith(OURS):
            READ.append(name)
        return super().__getitem__(name)
    def __contains__(self, name):
        if str(name).startswith(OURS):
            READ.append(name)
        return super().__contains__(name)
    def __iter__(self):
        frame = sys._getframe(1)
        while frame:
            if frame.f_code.co_filename.startswith(sys.argv[1]) and "/.venv/" not in frame.f_code.co_filename:
                READ.append("every name")
            frame = frame.f_back
        return super().__iter__()

DONE = []

def watch(event, arguments):
    if event in {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.fork", "os.mkdir"}:
        DONE.append((event, str(arguments)))
    if event == "_thread.start_new_thread" or event == "_thread.start_joinable_thread":
        DONE.append((event, ""))
    if event == "open":
        path, mode, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            DONE.append((event, str(path)))
        if str(path).endswith(".env"):
            DONE.append((event, str(path)))

import importlib
# What others do while they are imported is not ours to judge.
for name in sys.argv[3].split(","):
    importlib.import_module(name)
os.environ.__class__ = Spy
sys.addaudithook(watch)
importlib.import_module(sys.argv[2])
print(READ, DONE)
"""


def modules() -> list[str]:
    found = ["containers"]
    for root, package in [*((ROOT, one) for one in PACKAGES), (LIBRARY, "unitwork")]:
        for path in sorted((root / package).rglob("*.py")):
            if path.name != "__main__.py":
                parts = path.relative_to(root).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def test_there_are_modules_to_import() -> None:
    assert {"containers", "app.cli", "app.api", "settings.settings", "unitwork.connections.engine"} <= set(modules())
    assert len(modules()) > 50


def test_importing_every_module_reads_no_environment_and_does_no_io(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (tmp_path / "everything.py").write_text("".join(f"import {name}\n" for name in modules()))
    others = "asyncpg,aiosqlite,sqlalchemy.ext.asyncio,alembic.command,fastapi,uvicorn,typer,rich,structlog,pwdlib"
    others += ",celery.app.task,kombu.transport.sqlalchemy,prometheus_client"
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_AND_SPY, str(ROOT), "everything", others, str(tmp_path)],
        cwd=folder,
        env={
            "DATABASE_URL": "garbage",
            "GATEHOUSE_DATABASE__URL": "garbage",
            "GATEHOUSE_PORT": "garbage",
            "GATEHOUSE_SECRETS_DIR": "/nowhere",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[] []\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["containers", "app.api", "app.cli", "app.worker", "repositories", "services", "settings"]
)
def test_each_door_opens_alone(name: str, tmp_path: Path) -> None:
    """Importing one package first must not depend on another having been imported before."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {name}"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["containers", "app.api"])
def test_what_few_processes_need_is_not_imported_by_all(name: str) -> None:
    program = f"import sys, {name}; print([it for it in ('alembic', 'celery', 'kombu', 'redis') if it in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
