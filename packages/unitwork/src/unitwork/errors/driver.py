"""What the database itself refused."""

from unitwork.errors.root import DatabaseError


class DriverError(DatabaseError):
    """The database refused a statement.

    `sqlstate` is the five-character code (SQLite: the name of its result code; None where there is none),
    `message` the database's own words, unless they could repeat a value.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        self.message = message
        self.sqlstate = sqlstate
        super().__init__(message)

    def __str__(self) -> str:
        code = f" [{self.sqlstate}]" if self.sqlstate else ""
        return f"{self.message}{code}"


class ConstraintViolation(DriverError):
    """A row breaks a constraint. `constraint` is its name (None where the database tells none), `columns` the
    columns it is over (empty where the database tells none).
    """

    def __init__(
        self, *, constraint: str | None = None, columns: tuple[str, ...] = (), sqlstate: str | None = None
    ) -> None:
        self.constraint = constraint
        self.columns = columns
        kind = type(self).__name__
        super().__init__(f"{kind}: {constraint or ', '.join(columns) or 'unnamed constraint'}", sqlstate=sqlstate)


class UniqueViolation(ConstraintViolation):
    """Another row has the value."""


class ForeignKeyViolation(ConstraintViolation):
    """The row refers to one that isn't there, or is referred to."""


class NotNullViolation(ConstraintViolation):
    """A column that needs a value got none."""


class CheckViolation(ConstraintViolation):
    """A value breaks the table's own rule."""


class SerializationFailure(DriverError):
    """Concurrent transactions can't be put in an order; the whole unit may be tried again."""


class DeadlockDetected(DriverError):
    """Transactions waited for each other; this one was chosen to end. It may be tried again."""


class LockNotAvailable(DriverError):
    """A lock was not free, or not free in time (SQLite: its one writer)."""


class StatementTimeout(DriverError):
    """The database ended a statement that ran too long."""


class ConnectionLost(DriverError):
    """The connection broke before the unit's COMMIT was sent: nothing of it was stored."""


class StatementOutdated(DriverError):
    """A statement was prepared before the schema changed, or its session had dropped it. Nothing of it was stored, nor
    of its transaction; the next try prepares it anew.

    `sqlstate` is None where the driver found that out by the answer.
    """

    def __str__(self) -> str:
        return f"{super().__str__()}: nothing was stored. Try the whole unit again, or give it `retry`"


class SchemaOutdated(DriverError):
    """A statement names a table or column that the database doesn't have. `target` is that database, without
    credentials; None where it isn't known.
    """

    target: str | None = None

    def __str__(self) -> str:
        where = f" in the database in force, {self.target}" if self.target else ""
        return (
            f"{self.message}{where}. Bring the schema up to date with `alembic upgrade head`; "
            "or, should another database be meant, correct `url`."
        )
