"""Commands, run in this process as a person would type them."""

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from containers import Container


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Stdout as one JSON document: nothing else may be on it."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def assert_error(self, code: int, words: str) -> None:
        """One line on stderr, nothing on stdout, no stack."""
        assert self.code == code, self.err
        assert self.out == ""
        assert words in self.err
        assert "Traceback" not in self.err
        if code == 1:
            assert self.err.startswith("error: ")
            assert self.err.count("\n") == 1


Gatehouse = Callable[..., Done]


@pytest.fixture
def database_mode() -> str:
    """A command opens a container of its own on the test's database."""
    return "own"


@pytest.fixture
def shell(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gatehouse:
    """Run a command with the environment as it is."""

    def run(*arguments: str, stdin: str = "", container: Container | None = None) -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capfd.readouterr()
        code = main(arguments, container=container)
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def gatehouse(shell: Gatehouse, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gatehouse:
    """Run a command on this test's database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("GATEHOUSE_VAR_DIR", str(tmp_path))
    return shell
