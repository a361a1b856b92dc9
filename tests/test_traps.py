"""Each trap that data layers fall into has a test whose docstring names it by its number."""

import ast
import re
from functools import cache

import pytest

from tests.conftest import ROOT

NUMBERS = [*range(4, 21), 29, 32]


@cache
def named() -> dict[int, list[str]]:
    """The tests that name a trap, by its number."""
    found: dict[int, list[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for numbers in re.findall(r"[Tt]raps? (\d+(?:(?:, | and )\d+)*)", ast.get_docstring(node) or ""):
                    for number in re.findall(r"\d+", numbers):
                        found.setdefault(int(number), []).append(f"{path.name}::{node.name}")
    return found


@pytest.mark.parametrize("number", NUMBERS)
def test_a_trap_has_a_test_of_its_own(number: int) -> None:
    assert named().get(number), f"no test names trap {number}"
