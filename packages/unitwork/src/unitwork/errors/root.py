"""UnitworkError, the root of the tree that is drawn in `unitwork.errors`, its family DatabaseError, and the leaves
that no family has.
"""

from collections.abc import Mapping
from typing import Final

LONGEST_LABEL: Final = 64
"""Characters of a label that are shown."""


class UnitworkError(Exception):
    """Root of every error that the library raises."""


class DatabaseError(UnitworkError):
    """Root of what sessions, transactions, engines and drivers refuse."""


class UnknownLabel(DatabaseError):
    """A row holds a label that this version's enum doesn't have: a newer version has written it. `key` is the row's
    primary key by column, as the database has it; empty where the statement didn't read it. A write that commits by
    itself and returns such a row was carried out.
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
        shown = label if len(label) <= LONGEST_LABEL else f"{label[:LONGEST_LABEL]}…"
        return (
            f"{where} has {shown} in {self.column}, which this version doesn't know. Run the version that wrote it, or "
            "one that is newer; or change the row."
        )


class NotSupported(DatabaseError):
    """The database in use can't do it. `what` names it, `database` is the dialect's name, `instead` the way out."""

    def __init__(self, what: str, database: str, instead: str) -> None:
        self.what = what
        self.database = database
        self.instead = instead
        super().__init__(what, database, instead)

    def __str__(self) -> str:
        return f"{self.database} has no {self.what}. {self.instead}"
