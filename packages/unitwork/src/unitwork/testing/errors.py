"""What the test kit can't do.

DatabaseError
├── NeedsOwnDatabase        a test in one shared transaction can't show this faithfully
└── CallNeedsBlock          a call of the `session` fixture that makes sense only in a block of its own
"""

from unitwork.errors import DatabaseError


class NeedsOwnDatabase(DatabaseError):
    """`what` happened, at `call_site`, and one transaction on one connection can't show what it would do to a real
    database. `instead` is another way out than a database of the test's own.
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
    """Each call of the `session` fixture gives its connection back, and `call` needs it for longer, or isn't one."""

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(call)

    def __str__(self) -> str:
        return (
            f"{self.call} needs a connection after or without a call, and this session gives it back with each. "
            "Wrap it in `async with session.begin_nested():`."
        )
