"""Model errors; the tree is drawn in `unitwork.errors`."""

from unitwork.errors.root import UnitworkError


class ModelError(UnitworkError):
    """Root of the errors that models raise."""


class NoActingUser(ModelError):
    """No acting user is set, so a write has no author."""

    def __str__(self) -> str:
        return (
            "no acting user is set, so this write has no author. "
            "Wrap the call in `with acting_as(user_id):`, or `acting_as(SYSTEM)` where there is no person."
        )


class NoIdGenerator(ModelError):
    """The session that writes the row has no id generator."""

    def __str__(self) -> str:
        return (
            "this session knows no id generator, so the row can't get its id. "
            "Take the session from a session provider (`database.sessions`), or give the model an id."
        )


class KeyNeedsText(ModelError):
    """A searchable key is computed from the text of column `source`, whose text isn't available: it is set to SQL or to
    the parameters of many rows.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__(source)

    def __str__(self) -> str:
        return (
            f"{self.source} is set to SQL or to parameters of many rows, and the key that it is searched by is made of "
            "its text. Give it one text, or set its key along with it."
        )


class UnrecordableKey(ModelError):
    """An audited model's primary key doesn't fit into the `record_id` of the class of entries."""

    def __init__(self, model: str, entries: str) -> None:
        self.model = model
        self.entries = entries
        super().__init__(model, entries)

    def __str__(self) -> str:
        return (
            f"{self.entries}.record_id can't hold the primary key of {self.model}. "
            "Give AuditTrail entries of a class of your own (AuditColumns) whose record_id is text or the key's type."
        )


class RelationshipNotLoaded(ModelError):
    """A relationship was read that wasn't loaded with its row: `option` is the loader option that loads it."""

    def __init__(self, model: str, relationship: str, option: str) -> None:
        self.model = model
        self.relationship = relationship
        self.option = option
        super().__init__(model, relationship, option)

    def __str__(self) -> str:
        return (
            f"{self.model}.{self.relationship} wasn't loaded with its row. Add "
            f".options({self.option}({self.model}.{self.relationship})) to the query."
        )


class ColumnNotLoaded(ModelError):
    """A column was read that isn't loaded, where no statement can load it. `deferred` is True if its query or its
    mapping left it out; else it was expired, or the database has yet to return its value.
    """

    def __init__(self, model: str, column: str, *, deferred: bool = False) -> None:
        self.model = model
        self.column = column
        self.deferred = deferred
        super().__init__(model, column)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self.args, {"deferred": self.deferred}

    def __str__(self) -> str:
        if self.deferred:
            option = f"undefer({self.model}.{self.column})"
            return f"{self.model}.{self.column} wasn't loaded with its row. Add .options({option}) to the query."
        return (
            f"{self.model}.{self.column} isn't loaded, and only the database knows it. Read the row again, or in its "
            "block `await session.refresh(…)` it, before looking."
        )


class ClockWentBack(ModelError):
    """The clock is further behind the last id than a short wait can make up for."""

    def __init__(self, behind: float) -> None:
        self.behind = behind
        super().__init__(behind)

    def __str__(self) -> str:
        return (
            f"the clock went back by {self.behind:.3f} s, so new ids could repeat old ones. "
            "Let time synchronisation finish and try again."
        )
