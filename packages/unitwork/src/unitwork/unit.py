"""Unit: one session's work on one connection, from its first statement to its outcome.

Holds the state that SQLAlchemy's session lacks: the owning task, the error that rules out a commit, the savepoint in
which an error happened, and whether the block itself has ended (only then commit and rollback are allowed).
"""

import asyncio
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from unitwork.errors import SecondStatement, SessionBelongsToAnotherTask, SessionEnded
from unitwork.held_connection import HeldConnection
from unitwork.outcome import Outcome
from unitwork.remembered_error import RememberedError, let_go_of_frames, recalled, remembered
from unitwork.server_identity import Xid

UNIT: Final = "unitwork_unit"
"""Execution option that holds the `Unit` a connection works for."""

OPENED_BY: Final = "unitwork_opened_by"
"""Key in a pooled connection's `info` that holds the `Unit` that took it."""

Hook = Callable[[], Awaitable[object] | object]


class ConnectionHolders(Protocol):
    """Registry of the units that hold a connection of the pool."""

    def before_connection(self, unit: "Unit") -> None: ...

    def connected(self, unit: "Unit") -> None: ...

    def released(self, unit: "Unit") -> None: ...


Follower = Callable[["Unit | None", Connection, Any, str, Any], None]
"""Callback with the unit, the connection, the driver's cursor, the statement and its execution context."""


def running_task() -> "asyncio.Task[object] | None":
    """Return the running task; None in a callback of the event loop and in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _other_thread(owner: "asyncio.Task[object] | None") -> str | None:
    """Return the current thread's name unless it is the thread that the owner's event loop runs in."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread().name
    if owner is not None and owner.get_loop() is not here:
        return threading.current_thread().name
    return None


@dataclass(eq=False, slots=True)
class Frame:
    """The transaction itself or a savepoint in it. An error dooms one frame; hooks are registered per frame."""

    savepoint: str | None = None
    doomed: bool = False
    doomed_by: RememberedError | None = None
    broken: bool = False
    """True when the database ruled out a commit: no further statement can run in it."""
    released_into: "Frame | None" = None
    gone: bool = False
    """True after ROLLBACK TO it: its work is undone and its hooks are dropped."""
    of_block: bool = False
    """True for the savepoint of a NESTED block, which ends it."""
    after_commit: list[Hook] = field(default_factory=list)
    after_rollback: list[Hook] = field(default_factory=list)

    @property
    def cause(self) -> BaseException | None:
        """The first error that doomed it; None if it isn't doomed by one."""
        return recalled(self.doomed_by)

    def doom(self, cause: BaseException | RememberedError | None) -> None:
        """Let it end in a rollback only; the first cause stays."""
        self.doomed = True
        if self.doomed_by is None and cause is not None:
            self.doomed_by = remembered(cause)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Unit:
    """One session's work on one connection, and everything tracked about it.

    `transactional` is False for a unit without a transaction, in which each statement commits by itself.
    """

    call_site: str = ""
    """`file:line` that opened it."""
    name: str | None = None
    read_only: bool = False
    isolation: str | None = None
    transactional: bool = True
    autocommit: bool = False
    """True for a unit that may send one statement only."""
    resolves_outcome: bool = False
    """True if its outcome is to be looked up on the server when the answer to its COMMIT is lost."""
    xid: Xid | None = None
    """PostgreSQL's transaction id, if it was requested and received."""
    replica: str | None = None
    """Address of the replica that it reads from; None at the primary."""
    third_party: bool = False
    """True if its session comes from another library's provider: none of its methods are called, and nothing is
    guarded.
    """
    blocked_by: str | None = None
    """Call site of the open transaction that is SQLite's one writer, if this unit must not be a second writer."""
    parent: "Unit | None" = None
    """Enclosing unit in the same task, idle while this one works."""
    holders: ConnectionHolders | None = None
    followers: Sequence[Follower] = ()
    """Callbacks for each statement that the driver has executed."""
    stack: tuple[tuple[str, int], ...] = ()
    """Call sites of the stack that opened it, innermost first."""
    task: "asyncio.Task[object] | None" = None
    helper: "asyncio.Task[object] | None" = None
    """Task that runs hooks on behalf of the owner."""
    generators: "Sequence[weakref.ref[AsyncGenerator[Any, Any]]]" = ()
    """Weak references to the async generators that contain its block. Once one of them is collected, the block can no
    longer be left in its own task.
    """
    abandoned: bool = False
    """True when its block can no longer be left in its own task: the unit is no longer an ambient transaction, and is
    torn down.
    """
    opener: "asyncio.Task[object] | None" = None
    """Task that owned it before it was torn down."""
    teardown: "asyncio.Task[None] | None" = None
    """Task that ends it instead of its owner (`unitwork.transactions.teardown`)."""
    watch: "weakref.ref[Any] | None" = None
    """Weak reference to its block, whose callback runs when the block is garbage-collected."""
    on_task_done: "Callable[[asyncio.Task[Any]], object] | None" = None
    """Callback for the case that its owner's task ends first."""
    admitted_by: "tuple[Any, Any] | None" = None
    """Drain and monitor in which its beginning was registered, so that its end is registered in the same ones."""
    joined: int = 0
    """Number of open `transaction()` blocks that have joined it."""
    grace: float = 0.25
    """Seconds that a cancelled statement, COMMIT or ROLLBACK gets to finish."""
    connection: HeldConnection | None = None
    """Connection that it holds, if any."""
    executing: float = 0.0
    """`time.monotonic()` at which the driver began to work on its statement; 0 while it has none."""
    statement: str = ""
    """SQL text of its latest statement, literals included: not to be shown."""
    streaming: bool = False
    """True if its statement is a streaming one, whose rows are fetched after it was executed."""
    carried: bool = False
    """True while its driver call is shielded (`unitwork.connections.cancellation`)."""
    in_function: bool = False
    """True while a function of the caller's runs in SQLAlchemy's greenlet (`run_sync`)."""
    cancelled: asyncio.CancelledError | None = None
    """The cancellation that waits for its statement's end."""
    spared: "weakref.ref[asyncio.CancelledError] | None" = None
    """The latest cancellation that left the connection in order."""
    raised: "weakref.ref[BaseException] | None" = None
    """The latest error that SQLAlchemy raised in it."""
    failed_by: RememberedError | None = None
    """The latest error from the database, or of a flush."""
    commit_sent: bool = False
    """True once SQLAlchemy has passed its COMMIT to the driver."""
    commit_answered: bool = False
    """True once the driver has confirmed its COMMIT."""
    commit_error: BaseException | None = None
    """Error that the driver raised for its COMMIT, until SQLAlchemy raises it."""
    ended_behind: bool = False
    """True if a statement ended its transaction, though its text didn't show it: the outcome is unknown."""
    lost: bool = False
    """True if its connection broke, or was dropped under a cancelled statement."""
    root: Frame = field(default_factory=Frame)
    outcome: Outcome | None = None
    ending: bool = False
    ended: bool = False
    connected: bool = False
    deadline: float | None = None
    """Deadline by the event loop's clock."""
    since: float = 0.0
    read_only_blocks: int = 0
    read_only_engaged: bool = False
    read_only_connection: Connection | None = None
    """Connection that was switched to read-only."""
    read_only_frame: "Frame | None" = None
    """Frame in which the connection was switched to read-only, if that setting ends with the frame (PostgreSQL)."""
    statements: int = 0
    frames: list[Frame] = field(init=False)
    """Frames of the transaction and its open savepoints, outermost first."""

    def __post_init__(self) -> None:
        self.frames = [self.root]

    def enter(self, call_site: str, *, parent: "Unit | None") -> None:
        """Make the running task its owner."""
        self.call_site = call_site
        self.parent = parent
        self.task = asyncio.current_task()
        self.since = time.monotonic()

    @property
    def failure(self) -> BaseException | None:
        """The latest error from the database, or of a flush."""
        return recalled(self.failed_by)

    def waited_out(self, error: BaseException | None) -> bool:
        """True of a cancellation that the driver has not seen: nothing was in flight when it was raised."""
        return error is not None and (error is self.cancelled or (self.spared is not None and error is self.spared()))

    @property
    def top(self) -> Frame:
        """Return the innermost savepoint, or the transaction itself."""
        return self.frames[-1]

    @property
    def refuses_writes(self) -> bool:
        return self.read_only or self.read_only_blocks > 0

    def mine(self) -> bool:
        """True if the running task may use it."""
        task = running_task()
        return task is not None and (task is self.task or task is self.helper)

    @property
    def over(self) -> bool:
        """True when no block may join it: it has ended, or its block can no longer be left in its task."""
        if self.generators and not (self.ended or self.abandoned):
            error = None if self.raised is None else self.raised()
            if error is not None:
                let_go_of_frames(error)
            error = None
            self.abandoned = any(generator() is None for generator in self.generators)
        return self.ended or self.abandoned

    def check_use(self) -> None:
        """Raise `SessionBelongsToAnotherTask` unless the running task owns it, and `SessionEnded` if it is over."""
        try:
            if asyncio.current_task() is self.task and not (self.ended or self.abandoned or self.generators):
                return  # the usual case
        except RuntimeError:
            raise self.belongs_to_another() from None  # a thread without an event loop
        if not self.mine():
            task = running_task()
            raise self.given_up() if task is not None and task is self.opener else self.belongs_to_another()
        if self.over and (self.ended or self.teardown is None):
            raise self.given_up()

    def given_up(self) -> SessionEnded:
        """Return the error for an owner that uses it after its end."""
        return SessionEnded(self.call_site, abandoned=self.abandoned)

    def belongs_to_another(self) -> SessionBelongsToAnotherTask:
        owner, user = self.task or self.opener, running_task()
        return SessionBelongsToAnotherTask(
            owner="no task" if owner is None else owner.get_name(),
            user="no task" if user is None else user.get_name(),
            call_site=self.call_site,
            ended=self.ended,
            thread=_other_thread(owner),
        )

    def before_statement(self) -> None:
        """Check that the session may send a statement, and count it. Call before anything reaches the database."""
        self.check_use()
        self.statements += 1
        if self.autocommit and self.statements > 1:
            raise SecondStatement
        if not self.connected and self.holders is not None:
            self.holders.before_connection(self)

    def begun(self, connection: HeldConnection) -> None:
        """Record that it has a connection and its transaction has begun."""
        self.connection = connection
        self.connected = True
        connection.connection.info[OPENED_BY] = self
        if self.holders is not None:
            self.holders.connected(self)

    def push(self, savepoint: str) -> None:
        self.frames.append(Frame(savepoint))

    def pop_rolled_back(self, savepoint: str) -> None:
        """Remove a savepoint and those inside it after ROLLBACK TO it."""
        while len(self.frames) > 1:
            frame = self.frames.pop()
            frame.gone = True
            self._forget_read_only(frame)
            if frame.savepoint == savepoint:
                return

    def pop_released(self) -> None:
        """Remove a released savepoint; its work and hooks now belong to the enclosing frame."""
        frame = self.frames.pop()
        self._forget_read_only(frame)
        self.top.after_commit += frame.after_commit
        self.top.after_rollback += frame.after_rollback
        frame.released_into = self.top

    def _forget_read_only(self, frame: Frame) -> None:
        """Forget the read-only setting made in a frame that ended: the database drops it too. It is set again if still
        needed.
        """
        if self.read_only_frame is frame:
            self.read_only_engaged, self.read_only_frame = False, None

    def failed(self, cause: BaseException | RememberedError, *, connection_lost: bool) -> None:
        """Record an error from the database. Its frame can't be committed, even if the error is caught."""
        cause = remembered(cause)
        self.failed_by = cause
        self.lost = self.lost or connection_lost
        frame = self.root if connection_lost else self.top
        frame.broken = True
        frame.doom(cause)

    def interrupted(self, cause: asyncio.CancelledError, *, torn: bool) -> None:
        """Record a cancelled statement. The caller doesn't learn its effect, so the frame it ran in can't be committed.

        `torn` is False if the driver had finished with it.
        """
        self.cancelled = None
        self.spared = None if torn else weakref.ref(cause)
        if self.transactional and not self.ending:
            self.failed_by = RememberedError(cause)
            self.top.broken = True
            self.top.doom(self.failed_by)

    def flush_failed(self, frame: Frame, cause: BaseException) -> None:
        """Record a failed or refused flush, and doom its frame, which SQLAlchemy has rolled back or not yet stored."""
        self.failed_by = RememberedError(cause)
        frame.doom(self.failed_by)

    def unrecorded(self, cause: BaseException) -> None:
        """Doom the frame of rows that were sent but not recorded, as the same error in a flush would."""
        if self.transactional:
            self.flush_failed(self.top, cause)

    def end(self) -> None:
        """Mark it as ended: its connection was returned, and its session refuses every further use."""
        self.ended = True
        if self.on_task_done is not None:
            owner = self.opener or self.task
            if owner is not None:
                owner.remove_done_callback(self.on_task_done)
        self.connection, self.watch, self.on_task_done = None, None, None
        self.generators, self.commit_error = (), None
        if self.holders is not None:
            self.holders.released(self)
