"""Errors: every error that the library raises.

    UnitworkError
    ├── DatabaseError               sessions, transactions, engines and drivers
    │   ├── LifetimeError                   the container is not in the state the call needs
    │   │   ├── EngineNotStarted
    │   │   ├── ContainerClosed
    │   │   ├── EngineBelongsToAnotherLoop
    │   │   └── EngineBelongsToAnotherProcess
    │   ├── UnknownRevision                 there is no migration of this name
    │   ├── DriverNotInstalled              the URL's driver is in an extra that isn't installed
    │   ├── TransactionError                the transaction is not in the state the call needs
    │   │   ├── TransactionIsOurs           commit and rollback belong to the block
    │   │   ├── TransactionRolledBack       the block ended normally and nothing was stored
    │   │   ├── CommitOutcomeUnknown        the answer to COMMIT was lost: stored whole, or not at all
    │   │   ├── TransactionTimeout          the block took longer than its `timeout`; rolled back
    │   │   ├── NoActiveTransaction         MANDATORY without one; a hook outside one
    │   │   ├── TransactionNotAllowed       NEVER inside one
    │   │   ├── IncompatibleTransaction     the ambient one lacks what the block requires
    │   │   ├── ReadOnlyTransaction         a write in a read-only block
    │   │   ├── SessionBelongsToAnotherTask
    │   │   ├── SessionEnded                the session was used after its block
    │   │   ├── BlockNeverLeft              a block inside was not left: the cause of a TransactionRolledBack
    │   │   ├── SecondStatement             a second statement in a session opened for one
    │   │   └── SecondWriterImpossible      SQLite has one writer, and this task already is it
    │   ├── UnknownLabel                    a row holds an enum label that this version doesn't have
    │   ├── StaleVersion                    the row was changed after it was read
    │   ├── NotSupported                    this database can't do it; .what names it
    │   ├── Unavailable                     try again later; nothing of this unit was stored
    │   │   ├── DatabaseUnavailable         no connection can be opened
    │   │   ├── UpgradeInProgress           another migration of the database is running
    │   │   ├── MigrationBlocked            others use a table that the migration changes
    │   │   ├── NotPrimary                  the server takes no writes: a standby, or demoted
    │   │   ├── NodeLeaseLost               no id can be made without a node of its own
    │   │   ├── NodesExhausted              every node is leased by a process
    │   │   ├── PoolTimeout                 every connection is in use
    │   │   ├── Overloaded                  the work's lane has its share of the pool in use
    │   │   └── PoolDeadlock                every holder of a connection waits for another one
    │   └── DriverError                     the database refused a statement; .sqlstate, .message
    │       ├── ConstraintViolation         .constraint, .columns
    │       │   ├── UniqueViolation
    │       │   ├── ForeignKeyViolation
    │       │   ├── NotNullViolation
    │       │   └── CheckViolation
    │       ├── SerializationFailure
    │       ├── DeadlockDetected
    │       ├── LockNotAvailable
    │       ├── StatementTimeout
    │       ├── ConnectionLost
    │       ├── StatementOutdated       the schema changed under a prepared statement; try again
    │       └── SchemaOutdated          a table or column is missing: migrations have not run
    ├── ModelError                      models
    │   ├── NoActingUser                nobody is named as the author of a write
    │   ├── NoIdGenerator               a row needs an id and the session knows no generator
    │   ├── RelationshipNotLoaded       a relationship is looked at that its query didn't load
    │   ├── ColumnNotLoaded             a column is looked at whose value only the database knows
    │   ├── KeyNeedsText                a text is not known here, and another column is made of it
    │   ├── UnrecordableKey             the audit trail's entries can't name a row of this model
    │   └── ClockWentBack               ids can't be made until the clock has caught up
    └── RepositoryError                 DAOs and builders
        ├── NotFound                    no such row, or it is soft-deleted
        ├── UnknownColumn               the model has no such column; names the nearest
        ├── NullComparison              None is compared with `is_null`
        ├── OutOfRange                  no integer column holds such a value
        ├── UnconditionalWrite          without a condition it would be every row
        │   ├── UnconditionalUpdate
        │   └── UnconditionalDelete
        ├── VersionIsCounted            an update sets the version, which counts the changes
        ├── OutsideSubquery             a condition refers to the table that a subquery replaces
        ├── NoSuchKey                   an upsert names columns that no key is over
        ├── TooManyRows                 one() found more than one row
        └── InvalidCursor               not a cursor of this list

Driver errors are created in one place, `unitwork.backends.driver_errors`, by SQLSTATE or its equivalent. None quotes a
value.
"""

from unitwork.errors.connection import (
    ContainerClosed,
    DatabaseUnavailable,
    DriverNotInstalled,
    EngineBelongsToAnotherLoop,
    EngineBelongsToAnotherProcess,
    EngineNotStarted,
    LifetimeError,
    MigrationBlocked,
    NodeLeaseLost,
    NodesExhausted,
    NotPrimary,
    Overloaded,
    PoolDeadlock,
    PoolTimeout,
    Unavailable,
    UnknownRevision,
    UpgradeInProgress,
)
from unitwork.errors.driver import (
    CheckViolation,
    ConnectionLost,
    ConstraintViolation,
    DeadlockDetected,
    DriverError,
    ForeignKeyViolation,
    LockNotAvailable,
    NotNullViolation,
    SchemaOutdated,
    SerializationFailure,
    StatementOutdated,
    StatementTimeout,
    UniqueViolation,
)
from unitwork.errors.model import (
    ClockWentBack,
    ColumnNotLoaded,
    KeyNeedsText,
    ModelError,
    NoActingUser,
    NoIdGenerator,
    RelationshipNotLoaded,
    UnrecordableKey,
)
from unitwork.errors.query import (
    InvalidCursor,
    NoSuchKey,
    NotFound,
    NullComparison,
    OutOfRange,
    OutsideSubquery,
    RepositoryError,
    TooManyRows,
    UnconditionalDelete,
    UnconditionalUpdate,
    UnconditionalWrite,
    UnknownColumn,
    VersionIsCounted,
)
from unitwork.errors.root import DatabaseError, NotSupported, UnitworkError, UnknownLabel
from unitwork.errors.transaction import (
    BlockNeverLeft,
    CommitOutcomeUnknown,
    IncompatibleTransaction,
    NoActiveTransaction,
    ReadOnlyTransaction,
    SecondStatement,
    SecondWriterImpossible,
    SessionBelongsToAnotherTask,
    SessionEnded,
    StaleVersion,
    TransactionError,
    TransactionIsOurs,
    TransactionNotAllowed,
    TransactionRolledBack,
    TransactionTimeout,
)

__all__ = [
    "BlockNeverLeft",
    "CheckViolation",
    "ClockWentBack",
    "ColumnNotLoaded",
    "CommitOutcomeUnknown",
    "ConnectionLost",
    "ConstraintViolation",
    "ContainerClosed",
    "DatabaseError",
    "DatabaseUnavailable",
    "DeadlockDetected",
    "DriverError",
    "DriverNotInstalled",
    "EngineBelongsToAnotherLoop",
    "EngineBelongsToAnotherProcess",
    "EngineNotStarted",
    "ForeignKeyViolation",
    "IncompatibleTransaction",
    "InvalidCursor",
    "KeyNeedsText",
    "LifetimeError",
    "LockNotAvailable",
    "MigrationBlocked",
    "ModelError",
    "NoActingUser",
    "NoActiveTransaction",
    "NoIdGenerator",
    "NoSuchKey",
    "NodeLeaseLost",
    "NodesExhausted",
    "NotFound",
    "NotNullViolation",
    "NotPrimary",
    "NotSupported",
    "NullComparison",
    "OutOfRange",
    "OutsideSubquery",
    "Overloaded",
    "PoolDeadlock",
    "PoolTimeout",
    "ReadOnlyTransaction",
    "RelationshipNotLoaded",
    "RepositoryError",
    "SchemaOutdated",
    "SecondStatement",
    "SecondWriterImpossible",
    "SerializationFailure",
    "SessionBelongsToAnotherTask",
    "SessionEnded",
    "StaleVersion",
    "StatementOutdated",
    "StatementTimeout",
    "TooManyRows",
    "TransactionError",
    "TransactionIsOurs",
    "TransactionNotAllowed",
    "TransactionRolledBack",
    "TransactionTimeout",
    "Unavailable",
    "UnconditionalDelete",
    "UnconditionalUpdate",
    "UnconditionalWrite",
    "UniqueViolation",
    "UnitworkError",
    "UnknownColumn",
    "UnknownLabel",
    "UnknownRevision",
    "UnrecordableKey",
    "UpgradeInProgress",
    "VersionIsCounted",
]
