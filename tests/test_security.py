"""docs/security.md: each of its lines is held by tests that exist."""

import re
import tomllib
from typing import Final

from tests.conftest import ROOT

PAGE: Final = ROOT / "docs" / "security.md"


HERE, OUT, _ = re.split(
    r"^## What is (?:out of scope|left to whoever runs it)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
)
ASKED: Final = """
1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1-1 3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5 3.7.1-2
4.1.1-3 4.2.1-1 4.3.1-2 4.4.1-4 5.1.1-1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-11 6.3.1-4 6.4.1-4 6.5.1-5 6.6.1-3
6.8.1-4 7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2 8.1.1-2 8.2.1-3 8.3.1-1 8.4.1-1 11.1.1-2 11.2.1-3 11.3.1-3
11.4.1-4 11.5.1-1 11.6.1-1 12.1.1-3 12.2.1-2 12.3.1-4 13.1.1-1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2 14.2.1-4 14.3.1-3
15.1.1-3 15.2.1-3 15.3.1-7 16.1.1-1 16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3
"""
"""Levels 1 and 2 of ASVS 5.0, a section each; chapters 9, 10 and 17 as a whole."""


def rows(part: str) -> list[str]:
    """The lines of tables, without their heads."""
    return [
        line for line in part.splitlines() if line.startswith("| ") and not re.match(r"\| (ASVS|what holds) ", line)
    ]


def required() -> set[str]:
    ids = set()
    for section in ASKED.split():
        chapter, _, numbers = section.rpartition(".")
        first, _, last = numbers.partition("-")
        ids |= {f"{chapter}.{number}" for number in range(int(first), int(last) + 1)}
    return ids | {"9", "10", "17"}


def test_each_requirement_of_asvs_levels_1_and_2_is_in_one_of_the_tables() -> None:
    asked = HERE.partition("### Besides")[0]
    listed = [id_ for line in (*rows(asked), *rows(OUT)) for id_ in line.split("|")[1].split()]
    assert len(listed) == len(set(listed)), "none twice"
    assert set(listed) == required()
    for line in rows(OUT):
        assert len(line.split("|")[2].split()) >= 2, f"no reason: {line}"


def test_each_line_of_the_page_names_tests_that_exist() -> None:
    defined = set()
    for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "packages").rglob("test_*.py")):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    lines = rows(HERE)
    assert len(lines) >= 60
    for line in lines:
        named = re.findall(r"`(test_\w+)`", line)
        assert named, f"no test: {line}"
        assert set(named) <= defined, f"{set(named) - defined} are not there"


def test_the_security_rules_of_the_linter_are_on() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    ignored = {
        *lint["ignore"],
        *(
            rule
            for path, rules in lint["per-file-ignores"].items()
            if not path.startswith(("tests", "packages/unitwork/tests", "benchmarks"))
            for rule in rules
        ),
    }
    assert not [rule for rule in ignored if re.match(r"S\d*$", rule)]
