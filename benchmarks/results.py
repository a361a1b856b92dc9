"""What the works found, as a page: one section for each, replaced when that work is run again."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.database import server_version

HEAD: Final = """# Results

Written by `make bench`. All figures of a section are from one run; ratios say more than absolute figures, which are one
machine's. The database and the load share the machine's cores with what is measured.
"""
PACKAGES: Final = (
    "sqlalchemy",
    "asyncpg",
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "uvloop",
    "dependency-injector",
)


@dataclass(frozen=True)
class Section:
    """A table, with a sentence before it that says what was measured."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=tuple)

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", self.text, "", _row(self.header), _row(["---"] * len(self.header))]
        lines += [_row(row) for row in self.rows]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def write(page: Path, section: Section) -> None:
    """Put the section in, in the place of an older one with its title."""
    found = re.split(r"^(?=## )", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:] if page.exists() else []
    sections = {text.splitlines()[0]: text.rstrip() + "\n" for text in found}
    sections[f"## {section.title}"] = section.markdown() + "\n" + machine() + "\n"
    page.write_text("\n".join([HEAD, *sections.values()]), encoding="utf-8")


def machine() -> str:
    """Where, when and with what."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {server_version()}; {packages}; commit {_commit()}."
    )


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - the developer's own
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
