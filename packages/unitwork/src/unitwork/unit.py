"""Unit: one session's work on one connection, from its first statement to its outcome.

Keeps what SQLAlchemy's session can't know: whose it is, what dooms it, which savepoint an error happened in, and
whether an end was asked for by the block (only then commit and rollback are let through).
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

UNIT: Final = "unitwork_unit"
"""The execution option under which a connection knows its unit."""

OPENED_BY: Final = "unitwork_opened_by"
"""Under which a pooled connection knows the unit that took it."""

Hook = Callable[[], Awaitable[object] | object]


class ConnectionHolders(Protocol):
    """Knows which units hold a connection of the pool."""

    def before_connection(self, unit: "Unit") -> None: ...

    def connected(self, unit: "Unit") -> None: ...

    def released(self, unit: "Unit") -> None: ...


Follower = Callable[["Unit | None", Connection, Any, str, Any], None]
"""Gets the unit, the connection, the driver's cursor, the statement and its execution context."""


def running_task() -> "asyncio.Task[object] | None":
    """None in a callback of the event loop, and in a thread that has no event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _other_thread(owner: "asyncio.Task[object] | None") -> str | None:
    """The name of this thread, when it isn't the one that the owner runs in."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread().name
    if owner is not None and owner.get_loop() is not here:
        return threading.current_thread().name
    return None


@dataclass(eq=False, slots=True)
class Frame:
    """The transaction itself, or a savepoint in it: what an error dooms, and what hooks wait for."""

    savepoint: str | None = None
    doomed: bool = False
    cause: BaseException | None = None
    broken: bool = False
    """Doomed by the database: no statement can follow in it."""
    released_into: "Frame | None" = None
    gone: bool = False
    """Rolled back to; its work is undone and its hooks are dropped."""
    of_block: bool = False
    """It is a NESTED block's, which ends it."""
    after_commit: list[Hook] = field(default_factory=list)
    after_rollback: list[Hook] = field(default_factory=list)

    def doom(self, cause: BaseException | None) -> None:
        """Let it end in a rollback only; the first cause stays."""
        self.doomed = True
        if self.cause is None:
            self.cause = cause


@dataclass(eq=False, slots=True, weakref_slot=True)
class Unit:
    """`transactional` is False for one that runs without a transaction, each statement committing by itself."""

    call_site: str = ""
    """The line that opened it."""
    name: str | None = None
    read_only: bool = False
    isolation: str | None = None
    transactional: bool = True
    autocommit: bool = False
    """One statement only."""
    resolves_outcome: bool = False
    """Should the answer to its COMMIT be lost, its outcome is to be found out."""
    xid: int | None = None
    """PostgreSQL's id of its transaction, where it was asked for and told."""
    third_party: bool = False
    """Its session comes from a provider that isn't ours: nothing of it is called, and nothing guarded."""
    blocked_by: str | None = None
    """The place of the open transaction that is SQLite's one writer, when this unit must not be a second."""
    parent: "Unit | None" = None
    """The unit around it in the same task, which waits while this one works."""
    holders: ConnectionHolders | None = None
    followers: Sequence[Follower] = ()
    """Who is told of each statement that the driver has executed."""
    stack: tuple[tuple[str, int], ...] = ()
    """The lines that opened it, innermost first."""
    task: "asyncio.Task[object] | None" = None
    helper: "asyncio.Task[object] | None" = None
    """The task that runs hooks for its owner."""
    generators: "Sequence[weakref.ref[AsyncGenerator[Any, Any]]]" = ()
    """The async generators its block stands in: once one of them is gone, nobody will leave the block in its task."""
    abandoned: bool = False
    """Nobody will leave its block in its task: it is no ambient transaction any more, and is torn down."""
    opener: "asyncio.Task[object] | None" = None
    """The task that was its owner before it was torn down."""
    teardown: "asyncio.Task[None] | None" = None
    """The task that ends it in its owner's place (`unitwork.transactions.teardown`)."""
    watch: "weakref.ref[Any] | None" = None
    """Tells of its block's end in the garbage collector."""
    admitted_by: "tuple[Any, Any] | None" = None
    """The drain and the monitor that were told of its beginning, to be told of its end."""
    joined: int = 0
    """How many `transaction()` blocks have joined it and were not left yet."""
    grace: float = 0.25
    """Seconds that a cancelled statement, COMMIT or ROLLBACK has to come to its own end."""
    connection: HeldConnection | None = None
    """The connection it holds."""
    executing: float = 0.0
    """When the driver began to work on its statement, by `time.monotonic()`; 0 while it has none."""
    statement: str = ""
    """The text of its latest statement, literals and all: not to be shown."""
    streaming: bool = False
    """Whether its statement is one that fetches the first rows when it was executed."""
    carried: bool = False
    """Whether its call to the driver is carried (`unitwork.connections.cancellation`)."""
    in_function: bool = False
    """Whether a function of the caller's runs in SQLAlchemy's greenlet (`run_sync`)."""
    cancelled: asyncio.CancelledError | None = None
    """The cancellation that waits for its statement's end."""
    spared: asyncio.CancelledError | None = None
    """The latest cancellation that left the connection in order."""
    failure: BaseException | None = None
    """The latest error from the database, or of a flush."""
    commit_sent: bool = False
    """Whether SQLAlchemy has handed its COMMIT to the driver."""
    commit_answered: bool = False
    """Whether that has succeeded."""
    commit_error: BaseException | None = None
    """What the driver has raised for its COMMIT, which SQLAlchemy has yet to hear of."""
    lost: bool = False
    """Its connection broke, or was dropped under a cancelled statement."""
    root: Frame = field(default_factory=Frame)
    outcome: Outcome | None = None
    ending: bool = False
    ended: bool = False
    connected: bool = False
    deadline: float | None = None
    """By the event loop's clock."""
    since: float = 0.0
    read_only_blocks: int = 0
    read_only_engaged: bool = False
    read_only_connection: Connection | None = None
    """The connection that was asked to refuse writes."""
    read_only_frame: "Frame | None" = None
    """The frame in which it was asked, where that ends with the frame (PostgreSQL)."""
    statements: int = 0
    frames: list[Frame] = field(init=False)
    """The transaction, and the savepoints in it, outermost first."""

    def __post_init__(self) -> None:
        self.frames = [self.root]

    def enter(self, call_site: str, *, parent: "Unit | None") -> None:
        """From here on it is the running task's."""
        self.call_site = call_site
        self.parent = parent
        self.task = asyncio.current_task()
        self.since = time.monotonic()

    @property
    def top(self) -> Frame:
        """The innermost savepoint, or the transaction itself."""
        return self.frames[-1]

    @property
    def refuses_writes(self) -> bool:
        return self.read_only or self.read_only_blocks > 0

    def mine(self) -> bool:
        """Whether the running task may use it."""
        task = running_task()
        return task is not None and (task is self.task or task is self.helper)

    @property
    def over(self) -> bool:
        """True when nothing may join it: it has ended, or nobody will leave its block in its task."""
        if not (self.ended or self.abandoned):
            self.abandoned = any(generator() is None for generator in self.generators)
        return self.ended or self.abandoned

    def check_use(self) -> None:
        """Raises `SessionBelongsToAnotherTask`, or `SessionEnded` for the owner itself."""
        try:
            if asyncio.current_task() is self.task and not (self.ended or self.abandoned or self.generators):
                return  # as nearly always
        except RuntimeError:
            raise self.belongs_to_another() from None  # a thread without an event loop
        if not self.mine():
            task = running_task()
            raise self.given_up() if task is not None and task is self.opener else self.belongs_to_another()
        if self.over and (self.ended or self.teardown is None):
            raise self.given_up()

    def given_up(self) -> SessionEnded:
        """For its owner, who comes too late."""
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
        """For the session, before anything reaches the database."""
        self.check_use()
        self.statements += 1
        if self.autocommit and self.statements > 1:
            raise SecondStatement
        if not self.connected and self.holders is not None:
            self.holders.before_connection(self)

    def begun(self, connection: HeldConnection) -> None:
        """The connection is there, and its transaction has begun."""
        self.connection = connection
        self.connected = True
        connection.connection.info[OPENED_BY] = self
        if self.holders is not None:
            self.holders.connected(self)

    def push(self, savepoint: str) -> None:
        self.frames.append(Frame(savepoint))

    def pop_rolled_back(self, savepoint: str) -> None:
        """The savepoint, and those inside it, were rolled back to."""
        while len(self.frames) > 1:
            frame = self.frames.pop()
            frame.gone = True
            self._forget_read_only(frame)
            if frame.savepoint == savepoint:
                return

    def pop_released(self) -> None:
        """The savepoint's work, and its hooks, are now its surroundings'."""
        frame = self.frames.pop()
        self._forget_read_only(frame)
        self.top.after_commit += frame.after_commit
        self.top.after_rollback += frame.after_rollback
        frame.released_into = self.top

    def _forget_read_only(self, frame: Frame) -> None:
        """A savepoint's end takes along what was asked of the database in it; what is still in force is asked anew."""
        if self.read_only_frame is frame:
            self.read_only_engaged, self.read_only_frame = False, None

    def failed(self, cause: BaseException, *, connection_lost: bool) -> None:
        """An error came from the database: what it happened in can't be committed, caught or not."""
        self.failure = cause
        self.lost = self.lost or connection_lost
        frame = self.root if connection_lost else self.top
        frame.broken = True
        frame.doom(cause)

    def interrupted(self, cause: asyncio.CancelledError, *, torn: bool) -> None:
        """A statement was cancelled: its caller doesn't know what it did, so what it happened in can't be committed.
        Unless `torn`, the driver had done with it.
        """
        self.cancelled = None
        self.spared = None if torn else cause
        if self.transactional and not self.ending:
            self.failure = cause
            self.top.broken = True
            self.top.doom(cause)

    def flush_failed(self, frame: Frame, cause: BaseException) -> None:
        """A flush failed, or was refused; SQLAlchemy has rolled `frame` back already, or what it holds is pending."""
        self.failure = cause
        frame.doom(cause)

    def end(self) -> None:
        """The connection is given back; the session stays refused for good."""
        self.ended = True
        self.connection, self.watch, self.generators = None, None, ()
        if self.holders is not None:
            self.holders.released(self)
