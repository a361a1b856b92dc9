"""Session providers: callables that return a block with a session.

The session is SQLAlchemy's own; only its ownership differs. A block that ends normally commits, one left by any
exception rolls back, and nothing inside it can do either. The rows of a stream are fetched like statements are sent, by
the session's owner only and shielded.
"""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NoReturn, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncResult, AsyncSession, AsyncSessionTransaction
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only, greenlet_spawn

from unitwork.connections.cancellation import shield
from unitwork.connections.compiled_statements import CompiledStatements
from unitwork.connections.labels import labels_of
from unitwork.errors import TransactionIsOurs, TransactionRolledBack
from unitwork.sessions.changed_row import store_change
from unitwork.sessions.guarded_session import GuardedSession
from unitwork.sessions.inside_statements import InsideStatements
from unitwork.sessions.write_recorder import WriteRecorder
from unitwork.unit import Unit

T = TypeVar("T")


def guard_fetches(result: AsyncResult[Any], unit: Unit) -> None:
    """Guard the fetches of a stream.

    They bypass the session, and SQLAlchemy has no public hook, so the fetch methods of this one result are wrapped
    (`test_a_stream_iterated_by_another_task_is_refused` pins them).
    """
    fetches = result._real_result  # noqa: SLF001 - see the docstring
    _check_labels(getattr(fetches, "raw", fetches))
    for name in ("_fetchiter_impl", "_fetchone_impl", "_fetchmany_impl", "_fetchall_impl"):
        setattr(fetches, name, _checked(getattr(fetches, name), unit))


def _check_labels(rows: Any) -> None:
    """Check enum labels in the driver's rows, before models are built from them. The fetches then raise
    `UnknownLabel`.
    """
    labels = labels_of(rows.context) if getattr(rows, "context", None) is not None else None
    if not labels:
        return
    one, many, everything = rows._fetchone_impl, rows._fetchmany_impl, rows._fetchall_impl  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it

    def fetch_one(*arguments: Any, **options: Any) -> Any:
        row = one(*arguments, **options)
        labels.check(() if row is None else (row,))
        return row

    def checking(fetch: Callable[..., Any]) -> Callable[..., Any]:
        def fetched(*arguments: Any, **options: Any) -> Any:
            found = fetch(*arguments, **options)
            labels.check(found)
            return found

        return fetched

    rows._fetchone_impl = fetch_one  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it
    rows._fetchmany_impl, rows._fetchall_impl = checking(many), checking(everything)  # noqa: SLF001 - a stream's rows have no public hook; test_a_stream_iterated_by_another_task_is_refused pins it


def _checked(fetch: Callable[..., T], unit: Unit) -> Callable[..., T]:
    def sent(*arguments: Any, **options: Any) -> T:
        unit.executing = time.monotonic()
        try:
            return fetch(*arguments, **options)
        finally:
            unit.executing = 0.0

    def checked(*arguments: Any, **options: Any) -> T:
        unit.check_use()
        return await_only(shield(greenlet_spawn(sent, *arguments, **options), unit))

    return checked


class SessionProvider(Protocol):
    """Any callable with this signature is a session provider; tests substitute their own."""

    def __call__(
        self, *, autoflush: bool = True, read_only: bool = False
    ) -> AbstractAsyncContextManager[AsyncSession]: ...


class ProvidedSession(AsyncSession):
    """An AsyncSession that only the block that provides it can commit, roll back or close."""

    sync_session_class = GuardedSession
    plans: CompiledStatements | None = None
    """Compiled statements of its engine; None without a transaction, and for a driver that has none."""
    _inside: InsideStatements | None = None

    @property
    def inside(self) -> InsideStatements | None:
        """Sender of its statements that bypasses SQLAlchemy; None if there is none."""
        if self._inside is None and self.plans is not None:
            guarded: GuardedSession = self.sync_session  # type: ignore[assignment]  # `sync_session_class` says so
            self._inside = InsideStatements(guarded, self.plans, self.flush)
        return self._inside

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().execute(*arguments, **options), self._unit)

    async def scalar(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().scalar(*arguments, **options), self._unit)

    async def flush(self, objects: Any = None) -> None:
        unit = self._unit
        unit.check_use()
        if objects is None and self.inside is not None and await store_change(self.inside):
            return
        await shield(super().flush(objects), unit)

    # Each of the following is shielded as one call, including its wait for a connection.

    async def get(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().get(*arguments, **options), self._unit)

    async def get_one(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().get_one(*arguments, **options), self._unit)

    async def refresh(self, *arguments: Any, **options: Any) -> None:
        await shield(super().refresh(*arguments, **options), self._unit)

    async def merge(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().merge(*arguments, **options), self._unit)

    async def merge_all(self, *arguments: Any, **options: Any) -> Any:
        return await shield(super().merge_all(*arguments, **options), self._unit)

    async def delete(self, instance: object) -> None:
        await shield(super().delete(instance), self._unit)

    async def delete_all(self, instances: Any) -> None:
        await shield(super().delete_all(instances), self._unit)

    async def run_sync(self, *arguments: Any, **options: Any) -> Any:
        unit = self._unit
        unit.in_function = (
            True  # not shielded as a whole: each of its statements is, and is attributed to the function's own lines
        )
        try:
            result = await super().run_sync(*arguments, **options)
        finally:
            unit.in_function = False
        if unit.teardown is not None:
            raise unit.given_up()
        return result

    async def connection(self, *arguments: Any, **options: Any) -> AsyncConnection:
        return await shield(super().connection(*arguments, **options), self._unit)

    def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **options: Any) -> Any:
        """Return the engine that the session's statements go to. Sends nothing, and takes no connection."""
        # Not the session's own `get_bind`: that one begins a statement, and on SQLite waits for the writer's turn.
        return Session.get_bind(self.sync_session, mapper, clause=clause, bind=bind, **options)

    async def commit(self) -> None:
        self._only_the_block("commit")
        await super().commit()

    async def rollback(self) -> None:
        self._only_the_block("rollback")
        await super().rollback()

    async def close(self) -> None:
        self._only_the_block("close")
        await super().close()

    def begin(self) -> NoReturn:
        raise TransactionIsOurs("begin")

    def begin_nested(self) -> AsyncSessionTransaction:
        return _Savepoint(self, nested=True)

    async def stream(self, *arguments: Any, **options: Any) -> AsyncResult[Any]:
        unit = self._unit
        unit.streaming = True
        try:
            result: AsyncResult[Any] = await shield(super().stream(*arguments, **options), unit)
        finally:
            unit.streaming, unit.executing = False, 0.0
        guard_fetches(result, unit)
        return result

    @property
    def _unit(self) -> Unit:
        unit: Unit = self.sync_session.unit  # type: ignore[attr-defined]  # a GuardedSession
        return unit

    @property
    def clean(self) -> bool:
        """True if nothing was added, changed or deleted since the last flush."""
        return self.sync_session._is_clean()  # noqa: SLF001 - the first test of a flush; it has no public name

    def _only_the_block(self, method: str) -> None:
        if not self._unit.ending:
            raise TransactionIsOurs(method)


def inside_statements(session: AsyncSession) -> InsideStatements | None:
    """Return the sender of a session's statements that bypasses SQLAlchemy; None if there is none."""
    return session.inside if isinstance(session, ProvidedSession) else None


class _Savepoint(AsyncSessionTransaction):
    """Savepoint that raises `TransactionRolledBack` at a normal end if a caught error has undone its work."""

    async def start(self, is_ctxmanager: bool = False) -> "_Savepoint":
        await super().start(is_ctxmanager)
        unit: Unit = self.session.sync_session.unit  # type: ignore[attr-defined]  # a GuardedSession
        self._frame = unit.top
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, traceback)
        if kind is None and self._frame.gone and self._frame.doomed:
            raise TransactionRolledBack from self._frame.cause


def guarded_session(
    unit: Unit,
    bind: AsyncEngine,
    execution_options: dict[str, Any],
    *,
    autoflush: bool,
    recorder: WriteRecorder | None = None,
) -> ProvidedSession:
    """Return a session for a unit, not yet connected."""
    session = ProvidedSession(bind, autoflush=autoflush, expire_on_commit=False, execution_options=execution_options)
    guarded: GuardedSession = session.sync_session  # type: ignore[assignment]  # `sync_session_class` says so
    guarded.unit, guarded.recorder = unit, recorder
    return session
