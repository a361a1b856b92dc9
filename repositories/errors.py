"""What a DAO or builder refuses.

    RepositoryError
    ├── NotFound                no such row, or it is soft-deleted
    │   ├── UserNotFound
    │   ├── MessageNotFound
    │   └── JobNotFound
    ├── UnknownColumn           the model has no such column; names the nearest
    ├── NullComparison          None is compared with `is_null`
    ├── OutOfRange              no integer column holds such a value
    ├── UnconditionalWrite      without a condition it would be every row
    │   ├── UnconditionalUpdate
    │   └── UnconditionalDelete
    ├── VersionIsCounted        an update sets the version, which counts the changes
    ├── OutsideSubquery         a condition asks the table that the query's subquery stands for
    ├── NoSuchKey               an upsert names columns that no key is over
    ├── TooManyRows             one() found more than one row
    └── InvalidCursor           not a cursor of this list

`StaleVersion` and `NotSupported` are those of `unitwork.errors`, `RelationshipNotLoaded`, `ColumnNotLoaded` and
`KeyNeedsText` those of `domain.errors`.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

from unitwork.errors import ColumnNotLoaded, KeyNeedsText, NotSupported, RelationshipNotLoaded, StaleVersion

__all__ = [
    "ColumnNotLoaded",
    "InvalidCursor",
    "JobNotFound",
    "KeyNeedsText",
    "MessageNotFound",
    "NoSuchKey",
    "NotFound",
    "NotSupported",
    "NullComparison",
    "OutOfRange",
    "OutsideSubquery",
    "RelationshipNotLoaded",
    "RepositoryError",
    "StaleVersion",
    "TooManyRows",
    "UnconditionalDelete",
    "UnconditionalUpdate",
    "UnconditionalWrite",
    "UnknownColumn",
    "UserNotFound",
    "VersionIsCounted",
]


class UserNotFound(NotFound):
    """No account has this id, or it is deleted."""

    def __init__(self, id: object) -> None:
        super().__init__("user", id)

    def __str__(self) -> str:
        if isinstance(self.id, int):
            return super().__str__()
        return "no account has this e-mail address or phone number"


class MessageNotFound(NotFound):
    """No message that isn't done has this id."""

    def __init__(self, id: object) -> None:
        super().__init__("message", id)

    def __str__(self) -> str:
        return f"no message with id {self.id} waits: it is done, or there never was one"


class JobNotFound(NotFound):
    """No job has this id."""

    def __init__(self, id: object) -> None:
        super().__init__("job", id)
