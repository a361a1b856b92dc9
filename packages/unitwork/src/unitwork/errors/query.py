"""DAO and builder errors; the tree is drawn in `unitwork.errors`."""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from unitwork.errors.root import UnitworkError


class RepositoryError(UnitworkError):
    """Root of the errors that DAOs and builders raise."""


class NotFound(RepositoryError):
    """No row of this model has this id, or it is soft-deleted."""

    def __init__(self, model: str, id: object) -> None:
        self.model = model
        self.id = id
        super().__init__(model, id)

    def __str__(self) -> str:
        return f"there is no {self.model} {'that matches' if self.id is None else f'with id {self.id}'}"


class UnknownColumn(RepositoryError):
    """The model has no such column."""

    def __init__(self, model: str, column: str, known: Iterable[str]) -> None:
        self.model = model
        self.column = column
        self.known = tuple(sorted(known))
        super().__init__(model, column)

    def __str__(self) -> str:
        near = difflib.get_close_matches(self.column, self.known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(self.known)}."
        return f"{self.model} has no column '{self.column}'. {hint}"


class NullComparison(RepositoryError):
    """A comparison with None matches nothing in SQL, whatever the column holds."""

    def __init__(self, column: str, operator: str) -> None:
        self.column = column
        self.operator = operator
        super().__init__(column, operator)

    def __str__(self) -> str:
        return (
            f"{self.operator}('{self.column}', None) can't match in SQL. "
            f"Use is_null('{self.column}') or is_not_null('{self.column}')."
        )


class OutOfRange(RepositoryError):
    """A whole number exceeds 64 bits."""

    def __init__(self, column: str, operator: str) -> None:
        self.column = column
        self.operator = operator
        super().__init__(column, operator)

    def __str__(self) -> str:
        return f"{self.operator}('{self.column}', …): no column holds so large a number. Give one of 64 bits."


class UnconditionalWrite(RepositoryError):
    """A write without a condition would change every row."""

    verb: ClassVar[str]

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(model)

    def __str__(self) -> str:
        return f"this has no condition, so it {self.verb} every {self.model}. Add one, or say .all_rows()."


class UnconditionalUpdate(UnconditionalWrite):
    """An update has no condition."""

    verb = "changes"


class UnconditionalDelete(UnconditionalWrite):
    """A delete has no condition."""

    verb = "deletes"


class VersionIsCounted(RepositoryError):
    """An update sets the version column itself."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(model)

    def __str__(self) -> str:
        return (
            f"the version of a {self.model} counts its changes, and can't be set. "
            "To change only the version you have read, say .eq('version', version)."
        )


class OutsideSubquery(RepositoryError):
    """An expression refers to the table itself, in a query over a subquery that replaces it."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(model)

    def __str__(self) -> str:
        return (
            f"this expression asks the table of {self.model}, and the query is over a subquery. "
            "Write it over the builder's `.entity`."
        )


class NoSuchKey(RepositoryError):
    """An upsert names columns that no unique key of the table is over."""

    def __init__(self, table: str, columns: tuple[str, ...], keys: tuple[tuple[str, ...], ...]) -> None:
        self.table = table
        self.columns = columns
        self.keys = keys
        super().__init__(table, columns, keys)

    def __str__(self) -> str:
        keys = "; ".join(", ".join(key) for key in self.keys)
        return f"no unique key of {self.table} is over {', '.join(self.columns)}. Name one that is: {keys}."


class TooManyRows(RepositoryError):
    """`one()` or `one_or_none()` found more than one row."""

    def __init__(self, model: str) -> None:
        self.model = model
        super().__init__(model)

    def __str__(self) -> str:
        return f"more than one {self.model} matches. Narrow the conditions, or ask for first() or all()."


class InvalidCursor(RepositoryError):
    """The text isn't a cursor that this list returned for this order."""

    def __str__(self) -> str:
        return "not a cursor of this list in this order. Begin again without a cursor."
