"""Root errors: `UnitworkError`, its family `DatabaseError`, and the leaves without a family; the tree is drawn in
`unitwork.errors`.
"""

from collections.abc import Mapping
from typing import Final

MAX_LABEL_LENGTH: Final = 64
"""Maximum number of characters of a label that are shown."""


class UnitworkError(Exception):
    """Root of every error that the library raises."""


class DatabaseError(UnitworkError):
    """Root of the errors of sessions, transactions, engines and drivers."""


class UnknownLabel(DatabaseError):
    """A row holds a label that this version's enum doesn't have: a newer version wrote it.

    `key` is the row's primary key by column, in the database's values; empty if the statement didn't select it. An
    autocommit write that returns such a row was carried out.
    """

    def __init__(self, table: str, column: str, label: object, key: Mapping[str, object]) -> None:
        self.table = table
        self.column = column
        self.label = label
        self.key = key
        super().__init__(table, column, label, key)

    def __str__(self) -> str:
        row = ", ".join(f"{name} {value}" for name, value in self.key.items())
        where = f"the row {row} of {self.table}" if row else f"a row of {self.table}"
        label = repr(self.label)
        shown = label if len(label) <= MAX_LABEL_LENGTH else f"{label[:MAX_LABEL_LENGTH]}…"
        return (
            f"{where} has {shown} in {self.column}, which this version doesn't know. Run the version that wrote it, or "
            "one that is newer; or change the row."
        )


class NotSupported(DatabaseError):
    """The database in use doesn't support it. `what` names the feature, `database` is the dialect's name, `instead` the
    alternative.
    """

    def __init__(self, what: str, database: str, instead: str) -> None:
        self.what = what
        self.database = database
        self.instead = instead
        super().__init__(what, database, instead)

    def __str__(self) -> str:
        return f"{self.database} has no {self.what}. {self.instead}"
