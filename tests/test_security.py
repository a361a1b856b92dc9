"""docs/security.md: each of its lines is held by tests that exist."""

import re
import tomllib
from typing import Final

from tests.conftest import ROOT

PAGE: Final = ROOT / "docs" / "security.md"


def rows() -> list[str]:
    return [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]


def test_each_line_of_the_page_names_tests_that_exist() -> None:
    defined = set()
    for path in (ROOT / "tests").rglob("*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    lines = rows()
    assert len(lines) >= 40
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
