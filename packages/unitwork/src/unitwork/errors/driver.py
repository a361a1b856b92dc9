"""Driver errors: refusals by the database itself."""

from unitwork.errors.root import DatabaseError


class DriverError(DatabaseError):
    """The database refused a statement.

    `sqlstate` is the five-character code (SQLite: the name of its result code; None if there is none), `message` the
    database's own text, unless it could repeat a value.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        self.message = message
        self.sqlstate = sqlstate
        super().__init__(message)

    def __str__(self) -> str:
        code = f" [{self.sqlstate}]" if self.sqlstate else ""
        return f"{self.message}{code}"


class ConstraintViolation(DriverError):
    """A row violates a constraint. `constraint` is its name and `columns` are its columns: None and empty if the
    database doesn't report them.
    """

    def __init__(
        self, *, constraint: str | None = None, columns: tuple[str, ...] = (), sqlstate: str | None = None
    ) -> None:
        self.constraint = constraint
        self.columns = columns
        kind = type(self).__name__
        super().__init__(f"{kind}: {constraint or ', '.join(columns) or 'unnamed constraint'}", sqlstate=sqlstate)


class UniqueViolation(ConstraintViolation):
    """Another row already has the value."""


class ForeignKeyViolation(ConstraintViolation):
    """The row refers to one that doesn't exist, or other rows refer to it."""


class NotNullViolation(ConstraintViolation):
    """A required column got no value."""


class CheckViolation(ConstraintViolation):
    """A value violates a rule of the table."""


class SerializationFailure(DriverError):
    """Concurrent transactions can't be put in an order; the whole unit may be tried again."""


class DeadlockDetected(DriverError):
    """Transactions waited for each other, and this one was chosen to end; it may be tried again."""


class LockNotAvailable(DriverError):
    """A lock was not free, or not free in time (SQLite: the one writer's)."""


class StatementTimeout(DriverError):
    """The database ended a statement that ran too long."""


class ConnectionLost(DriverError):
    """The connection broke before the unit's COMMIT was sent: nothing of it was stored."""


class StatementOutdated(DriverError):
    """A statement was prepared before the schema changed, or its session had dropped it. Nothing was stored of it, nor
    of its transaction; the next attempt prepares it again.

    `sqlstate` is None if the driver detected it in the answer.
    """

    def __str__(self) -> str:
        return f"{super().__str__()}: nothing was stored. Try the whole unit again, or give it `retry`"


class SchemaOutdated(DriverError):
    """A statement names a table or column that the database doesn't have. `target` is that database without
    credentials; None if it isn't known.
    """

    target: str | None = None

    def __str__(self) -> str:
        where = f" in the database in force, {self.target}" if self.target else ""
        return (
            f"{self.message}{where}. Bring the schema up to date with `alembic upgrade head`; "
            "or, should another database be meant, correct `url`."
        )
