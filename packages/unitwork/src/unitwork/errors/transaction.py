"""Transaction errors: refusals by sessions and transactions, and unexpected ends."""

from unitwork.errors.root import DatabaseError


class TransactionError(DatabaseError):
    """The transaction is not in the state the call needs."""


class TransactionIsOurs(TransactionError):
    """`commit`, `rollback`, `close` or `begin` was called on a session that a block provides, or sent as SQL text; or
    SQL text began or ended a `savepoint`.
    """

    def __init__(self, method: str) -> None:
        self.method = method
        super().__init__(method)

    def __str__(self) -> str:
        instead = {
            "commit": "leave the block normally",
            "rollback": "leave the block by an exception, or call `tx.set_rollback_only()`",
            "close": "leave the block",
            "begin": "the block has begun already; for a savepoint use `session.begin_nested()`",
            "savepoint": "use `session.begin_nested()` or `transaction(Propagation.NESTED)`, and leave that block",
        }[self.method]
        return f"`{self.method}` belongs to the block that provides this session. To get its effect: {instead}."


class TransactionRolledBack(TransactionError):
    """The block ended normally, but its transaction was rolled back; `__cause__` is the first error."""

    def __str__(self) -> str:
        cause = self.__cause__
        if cause is None:
            return "nothing was stored: the transaction was marked as rollback-only, or rolled back, inside the block."
        return (
            f"nothing was stored: {type(cause).__name__} was caught inside the block, and the transaction it happened "
            "in can only be rolled back. Let it leave the block, or do what may fail in "
            "`transaction(Propagation.NESTED)` and catch it around that."
        )


class CommitOutcomeUnknown(TransactionError):
    """COMMIT was sent and its answer was lost: either everything is stored or nothing.

    `replicated` is False if the answer came, with the warning that the wait for a synchronous standby was cancelled: a
    failover may undo the commit.
    """

    def __init__(self, *, replicated: bool | None = None) -> None:
        self.replicated = replicated
        super().__init__()

    def __str__(self) -> str:
        if self.replicated is False:
            return (
                "the server has committed, and its wait for the synchronous standby was cancelled: everything is "
                "stored, unless a standby takes over that hasn't received it. Look before you repeat, or make the "
                "operation idempotent."
            )
        return (
            "the connection was lost while COMMIT was on its way: everything was stored, or nothing. "
            "Look before you repeat, or make the operation idempotent."
        )


class TransactionTimeout(TransactionError):
    """The block exceeded its `timeout` or the deadline of its work; its transaction is rolled back. A `timeout` of 0
    means that the deadline had passed when the block began, and nothing was sent.
    """

    def __init__(self, timeout: float, call_site: str) -> None:
        self.timeout = timeout
        self.call_site = call_site
        super().__init__(timeout, call_site)

    def __str__(self) -> str:
        if not self.timeout:
            return f"the block opened at {self.call_site} was begun after the deadline of its work; nothing was sent."
        return f"the block opened at {self.call_site} took longer than {self.timeout:g} s, and was given up."


class NoActiveTransaction(TransactionError):
    """A transaction is required and none is open."""

    def __str__(self) -> str:
        return "there is no transaction here, and this needs one. Wrap the call in `async with transaction():`."


class TransactionNotAllowed(TransactionError):
    """A NEVER block was entered inside a transaction."""

    def __init__(self, call_site: str) -> None:
        self.call_site = call_site
        super().__init__(call_site)

    def __str__(self) -> str:
        return (
            f"this must not run inside a transaction, and one was opened at {self.call_site}. "
            "Call it outside, or use Propagation.NOT_SUPPORTED to step out of it."
        )


class IncompatibleTransaction(TransactionError):
    """The ambient transaction doesn't offer what the block requires, named by `asked`."""

    def __init__(self, asked: str, call_site: str) -> None:
        self.asked = asked
        self.call_site = call_site
        super().__init__(asked, call_site)

    def __str__(self) -> str:
        return (
            f"the transaction opened at {self.call_site} can't give {self.asked}. Ask for it there, where it begins, "
            "or use Propagation.REQUIRES_NEW."
        )


class ReadOnlyTransaction(TransactionError):
    """A write was attempted in a block opened with `read_only=True`."""

    def __str__(self) -> str:
        return "this block reads only. Open it without `read_only=True` to write."


class SessionBelongsToAnotherTask(TransactionError):
    """A session or an open transaction was used by a task that didn't open it. `owner` and `user` are task names;
    `thread` is the name of the thread that used it, if it isn't the owner's.
    """

    def __init__(self, *, owner: str, user: str, call_site: str, ended: bool, thread: str | None = None) -> None:
        self.owner = owner
        self.user = user
        self.call_site = call_site
        self.ended = ended
        self.thread = thread
        super().__init__(owner, user, call_site, ended, thread)

    def __str__(self) -> str:
        state = "had opened" if self.ended else "opened"
        if self.thread is not None:
            return (
                f"the session belongs to the task '{self.owner}', which {state} it at {self.call_site}, and the thread "
                f"'{self.thread}' used it. Hand plain values to a thread, and await the calls in the task; from a "
                "thread, `anyio.from_thread.run` runs a function in the event loop, in a transaction of its own."
            )
        return (
            f"the session belongs to the task '{self.owner}', which {state} it at {self.call_site}, and '{self.user}' "
            "used it. Give each task its own: `async with transaction():` inside the task, or await the calls one "
            "after the other. To bound a call use `asyncio.timeout`: on Python 3.11 `asyncio.wait_for` makes a task."
        )


class SessionEnded(TransactionError):
    """The session was used after its block ended. `abandoned` is True if the block was not left in the task that
    entered it, and was rolled back.
    """

    def __init__(self, call_site: str, *, abandoned: bool = False) -> None:
        self.call_site = call_site
        self.abandoned = abandoned
        super().__init__(call_site, abandoned)

    def __str__(self) -> str:
        if self.abandoned:
            return (
                f"the block that provided this session, opened at {self.call_site}, was given up and rolled back: its "
                "generator or context manager was dropped, or another task ended it. Leave a block in the task that "
                "entered it, with `async with`; iterate a generator that opens one inside `contextlib.aclosing()`, or "
                "make it a context manager with `contextlib.asynccontextmanager`."
            )
        return (
            f"the block that provided this session, opened at {self.call_site}, has ended. "
            "Models stay usable; for more statements open a new block."
        )


class BlockNeverLeft(TransactionError):
    """A `transaction()` block inside the transaction was entered but not left in its task before the transaction ended.
    The cause of a `TransactionRolledBack`.
    """

    def __str__(self) -> str:
        return (
            "a `transaction()` block inside this one was entered and never left: its generator or context manager was "
            "dropped, so its work may be half done. Enter it with `async with`, or iterate the generator that opens it "
            "inside `contextlib.aclosing()`."
        )


class SecondStatement(TransactionError):
    """A session for a single autocommit statement was given a second one."""

    def __str__(self) -> str:
        return (
            "this session was opened for one statement, which commits by itself, and was given a second. "
            "Wrap both in `async with transaction():`."
        )


class SecondWriterImpossible(TransactionError):
    """SQLite has one writer; a second writing connection would wait for this task itself."""

    def __init__(self, call_site: str) -> None:
        self.call_site = call_site
        super().__init__(call_site)

    def __str__(self) -> str:
        return (
            f"SQLite has one writer, and the transaction opened at {self.call_site} is it; a second one could only "
            "wait for it. Do this work in that transaction, after it, or with `read_only=True`."
        )


class StaleVersion(DatabaseError):
    """The row was changed or deleted after it was read: nothing was written."""

    def __str__(self) -> str:
        return "somebody else changed the row after it was read. Read it again and repeat the change."
