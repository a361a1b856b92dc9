"""Errors of the test kit.

DatabaseError
├── NeedsOwnDatabase        a single shared transaction can't reproduce this
└── CallNeedsBlock          a call of the `session` fixture that only works inside a block
"""

from unitwork.errors import DatabaseError


class NeedsOwnDatabase(DatabaseError):
    """Raised when an isolated test can't reproduce the behaviour of a real database.

    `what` happened, at `call_site`; `instead` is an alternative to a database of the test's own.
    """

    def __init__(self, what: str, call_site: str, *, instead: str = "") -> None:
        self.what = what
        self.call_site = call_site
        self.instead = instead
        super().__init__(what, call_site, instead)

    def __str__(self) -> str:
        other = f" {self.instead}, or give" if self.instead else " Give"
        return (
            f"{self.what} ({self.call_site}). An isolated test has one connection and one transaction, which is never "
            f'committed, so it can\'t show this.{other} the test real commits: `@pytest.mark.database("own")`.'
        )


class CallNeedsBlock(DatabaseError):
    """Raised for a `call` of the `session` fixture that needs the connection after it returns, or can't be awaited."""

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(call)

    def __str__(self) -> str:
        return (
            f"{self.call} needs a connection after or without a call, and this session gives it back with each. "
            "Wrap it in `async with session.begin_nested():`."
        )
