"""The library's guide to transactions shows the truth table as it is tested, and says what to do about every error."""

import inspect
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.database.truth_table import markdown
from unitwork import errors

GUIDE: Final = (ROOT / "packages" / "unitwork" / "docs" / "transactions.md").read_text(encoding="utf-8")
ERRORS: Final = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if error.__module__.startswith("unitwork.errors")
]
RAISED: Final = [error for error in ERRORS if not error.__subclasses__() or error is errors.DriverError]
"""Those that a user can meet: no mere families."""


def test_the_guide_shows_the_truth_table_as_it_is_tested() -> None:
    _, _, rest = GUIDE.partition("<!-- truth table -->\n")
    shown, closed, _ = rest.partition("<!-- /truth table -->\n")
    renew = (
        "packages/unitwork/docs/transactions.md is out of date; put the output of "
        "`.venv/bin/python -m tests.database.truth_table` between `<!-- truth table -->` and `<!-- /truth table -->`"
    )
    assert closed, renew
    assert shown == markdown(), renew


@pytest.mark.parametrize("error", RAISED, ids=lambda error: error.__name__)
def test_the_guide_says_what_to_do_about_the_error(error: type[errors.DatabaseError]) -> None:
    assert f"\n| `{error.__name__}` | " in GUIDE, (
        f"name {error.__name__} in the last table of packages/unitwork/docs/transactions.md"
    )
