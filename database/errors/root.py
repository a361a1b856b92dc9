"""DatabaseError, the root of the tree that is drawn in `database.errors`, and the leaf that no family has."""


class DatabaseError(Exception):
    """Root of every error that `database` raises."""


class NotSupported(DatabaseError):
    """The database in use can't do it. `what` names it, `database` is the dialect's name, `instead` the way out."""

    def __init__(self, what: str, database: str, instead: str) -> None:
        self.what = what
        self.database = database
        self.instead = instead
        super().__init__(what, database, instead)

    def __str__(self) -> str:
        return f"{self.database} has no {self.what}. {self.instead}"
