"""Every error of sessions, transactions, engines and drivers.

    DatabaseError
    ├── LifetimeError                   the container is not in the state the call needs
    │   ├── EngineNotStarted
    │   └── ContainerClosed
    ├── DriverNotInstalled              the URL's driver is in an extra that isn't installed
    ├── TransactionError                the transaction is not in the state the call needs
    │   ├── TransactionIsOurs           commit and rollback belong to the block
    │   └── TransactionRolledBack       the block ended normally and nothing was stored
    ├── StaleVersion                    somebody else changed the row first
    ├── Unavailable                     try again later; nothing of this unit was stored
    │   ├── DatabaseUnavailable         no connection can be made
    │   └── PoolTimeout                 every connection is in use
    └── DriverError                     the database refused a statement; .sqlstate, .message
        ├── ConstraintViolation         .constraint, .columns
        │   ├── UniqueViolation
        │   ├── ForeignKeyViolation
        │   ├── NotNullViolation
        │   └── CheckViolation
        ├── SerializationFailure
        ├── DeadlockDetected
        ├── LockNotAvailable
        ├── StatementTimeout
        ├── ConnectionLost
        └── SchemaOutdated          a table or column is missing: migrations have not run

Driver errors are made in one place, `database.driver_errors`, by SQLSTATE or its like. None holds a value.
"""


class DatabaseError(Exception):
    """Root of every error that `database` raises."""


class LifetimeError(DatabaseError):
    """The container is not in the state the call needs."""


class EngineNotStarted(LifetimeError):
    """The engine is opened by `running()` and nothing else."""

    def __str__(self) -> str:
        return "the engine is not started. Do this inside `async with running(container):`."


class ContainerClosed(LifetimeError):
    """The container was closed, and one container is one lifetime."""

    def __str__(self) -> str:
        return "this container was closed and can't be entered again. Build a new one: `running(Container())`."


class DriverNotInstalled(DatabaseError):
    """The database URL needs a driver that isn't installed."""

    def __init__(self, driver: str, extra: str | None) -> None:
        self.driver = driver
        self.extra = extra
        super().__init__(driver, extra)

    def __str__(self) -> str:
        package = f"gatehouse[{self.extra}]" if self.extra else "gatehouse"
        return f"the driver '{self.driver}' is not installed. Install it with: pip install '{package}'"


class TransactionError(DatabaseError):
    """The transaction is not in the state the call needs."""


class TransactionIsOurs(TransactionError):
    """`commit`, `rollback`, `close` or `begin` was called on a session that a block provides."""

    def __init__(self, method: str) -> None:
        self.method = method
        super().__init__(method)

    def __str__(self) -> str:
        instead = {
            "commit": "leave the block normally",
            "rollback": "leave the block by an exception, or call `tx.set_rollback_only()`",
            "close": "leave the block",
            "begin": "the block has begun already; for a savepoint use `session.begin_nested()`",
        }[self.method]
        return f"`{self.method}` belongs to the block that provides this session. To get its effect: {instead}."


class TransactionRolledBack(TransactionError):
    """The block ended normally, but its transaction was rolled back; `__cause__` is the first cause."""

    def __str__(self) -> str:
        cause = self.__cause__
        because = f" because of {type(cause).__name__}" if cause is not None else ""
        return (
            f"nothing was stored: the transaction was rolled back{because}, and that error was caught inside "
            "the block. Let it leave the block, or do the work that may fail in a savepoint."
        )


class StaleVersion(DatabaseError):
    """The row changed, or went away, after it was read: nothing was written."""

    def __str__(self) -> str:
        return "somebody else changed the row after it was read. Read it again and repeat the change."


class Unavailable(DatabaseError):
    """Nothing of this unit was stored; the same call may succeed later."""

    retry_after = 1.0
    """Seconds after which a new try makes sense."""


class DatabaseUnavailable(Unavailable):
    """No connection can be made: refused, starting up, shutting down, unreachable, or credentials refused."""

    def __init__(self, reason: str, target: str) -> None:
        self.reason = reason
        self.target = target
        super().__init__(reason, target)

    def __str__(self) -> str:
        return f"the database at {self.target} can't be reached: {self.reason}"


class PoolTimeout(Unavailable):
    """Every connection of the pool stayed in use for the whole pool timeout."""

    def __init__(self, *, size: int, timeout: float) -> None:
        self.size = size
        self.timeout = timeout
        super().__init__(size, timeout)

    def __str__(self) -> str:
        return (
            f"no connection became free within {self.timeout:g} s; all {self.size} are in use. Shorten the "
            "transactions that hold them, or raise GATEHOUSE_DATABASE__POOL_SIZE."
        )


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


class SchemaOutdated(DriverError):
    """A statement names a table or column that the database doesn't have."""

    def __str__(self) -> str:
        return f"{self.message}. Bring the schema up to date with: gatehouse db upgrade"
