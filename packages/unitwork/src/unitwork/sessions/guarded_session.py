"""GuardedSession: the synchronous session inside a provided one, which checks its unit before each operation."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import CompoundSelect, Select, event
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.util import safe_reraise

from unitwork.errors import (
    ReadOnlyTransaction,
    SecondWriterImpossible,
    StaleVersion,
    TransactionError,
    TransactionIsOurs,
    TransactionRolledBack,
)
from unitwork.models.soft_delete import without_deleted
from unitwork.remembered_error import without_frames
from unitwork.sessions import read_only
from unitwork.sessions.resending import send_again
from unitwork.sessions.restoring import RestoringSession
from unitwork.sessions.write_recorder import WriteRecorder, after_flush, dml_in
from unitwork.unit import Frame, Unit

T = TypeVar("T")


class GuardedSession(RestoringSession):
    """The synchronous session inside. Every access to the database passes through its `get_bind`, and every change to
    be flushed through the other methods here.
    """

    recorder: WriteRecorder | None = None

    def get_bind(self, mapper: Any = None, *, clause: Any = None, **options: Any) -> Any:
        unit = self.unit
        unit.before_statement()
        if unit.lost or unit.frames[-1].broken or not self.is_active:
            self._recover_or_refuse(unit)
        if clause is not None and (unit.read_only or unit.read_only_blocks or unit.blocked_by):
            if read_only.writes(clause):
                raise _refusal(unit)
            if (unit.read_only_blocks or not unit.transactional) and read_only.opaque(clause):
                read_only.engage(self, unit)
        return self.bind if self.bind is not None else super().get_bind(mapper, clause=clause, **options)

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if not getattr(statement, "is_dml", False):
            return self._read(super().execute, statement, params, **options)
        dml, around = dml_in(statement)
        if self.recorder is None or not self.recorder.concerns(dml.table):
            # A list of parameters may be sent in batches, each committed by itself.
            if self.unit.transactional or isinstance(params, list):
                return super().execute(statement, params, **options)
            return send_again(self.unit, partial(super().execute, statement, params, **options), reads=lambda: False)
        if self.unit.refuses_writes or self.unit.blocked_by:
            self.unit.check_use()
            raise _refusal(self.unit)  # before the recorder queries the current rows
        execute: Callable[[Any], Any] = partial(super().execute, params=params, **options)
        sent = False

        def send(written: Any) -> Any:
            nonlocal sent
            result = execute(around(written))
            sent = True
            return result

        try:
            return self.recorder.executed(self, dml, params, send)
        except Exception as error:
            if sent:
                self.unit.unrecorded(error)
            raise

    def scalars(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        return self.execute(statement, *arguments, **options).scalars()

    def scalar(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(statement, "is_dml", False):
            return self.execute(statement, *arguments, **options).scalar()
        return self._read(super().scalar, statement, *arguments, **options)

    def _read(self, send: Callable[..., Any], statement: Any, *arguments: Any, **options: Any) -> Any:
        """Send a SELECT without soft-deleted rows, and again where that is safe."""
        statement = without_deleted(statement, options.get("execution_options") or {}, self.execution_options)
        if self.unit.transactional:
            return send(statement, *arguments, **options)
        sending = partial(send, statement, *arguments, **options)
        return send_again(self.unit, sending, reads=partial(self.repeats, statement))

    def repeats(self, statement: Any) -> bool:
        """True if a statement that a dead connection has failed may be sent over another one of its server."""
        return isinstance(statement, Select | CompoundSelect) and not read_only.writes(statement)

    def flush(self, objects: Any = None) -> None:
        unit = self.unit
        frame = unit.frames[-1]
        in_order = not (unit.lost or frame.broken) and self.is_active
        if in_order and self._is_clean():
            return  # the usual case: nothing to flush before a statement, which checks the owner itself
        unit.check_use()
        if (unit.refuses_writes or unit.blocked_by) and self.pending():
            # The changes are still pending: without this, the end of a block that may write would store them.
            refusal = _refusal(unit)
            unit.flush_failed(frame, refusal)
            raise refusal
        if unit.transactional and not unit.ending and not in_order:
            raise TransactionRolledBack from unit.failure
        try:
            super().flush(objects)
        except StaleDataError as error:
            stale = StaleVersion()
            self._flush_failed(frame, stale)
            raise stale from error
        except BaseException as error:
            # `handle_error` sees only the database's errors.
            self._flush_failed(frame, error)
            raise

    def as_flush(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, which sends a part of a flush. Its error has the effects of a failed flush: the
        innermost savepoint or the transaction is rolled back, and its models are put back.
        """
        inside: Any = self
        frame, transaction = self.unit.frames[-1], inside._autobegin_t()._begin()  # noqa: SLF001 - as `flush` does
        inside._flushing = True  # noqa: SLF001 - as `flush` does, so that the transaction's end flushes nothing
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - raised by `safe_reraise`
            try:
                with safe_reraise():
                    transaction.rollback(_capture_exception=True)
            finally:
                inside._flushing = False  # noqa: SLF001 - as above
                self._flush_failed(frame, error)
        transaction.commit()
        inside._flushing = False  # noqa: SLF001 - as above
        return answer

    def _flush_failed(self, frame: Frame, error: BaseException) -> None:
        self._forget_frames()
        self.unit.flush_failed(frame, error)
        if not self.unit.transactional:
            super().rollback()  # at once: a later rollback would discard what is added meanwhile

    def pending(self) -> bool:
        """True if a flush would write."""
        return bool(self.new or self.deleted) or any(self.is_modified(row) for row in self.dirty)

    def add(self, instance: object, **options: Any) -> None:
        self.unit.check_use()
        super().add(instance, **options)

    def add_all(self, instances: Any) -> None:
        self.unit.check_use()
        super().add_all(instances)

    def delete(self, instance: object) -> None:
        self.unit.check_use()
        super().delete(instance)

    def merge(self, instance: Any, **options: Any) -> Any:
        self.unit.check_use()
        return super().merge(instance, **options)

    def get(self, entity: Any, ident: Any, **options: Any) -> Any:
        self.unit.check_use()
        return super().get(entity, ident, **options)

    def _bulk_save_mappings(self, *arguments: Any, **options: Any) -> None:
        # All legacy bulk methods end here; they call neither `flush` nor `get_bind` with a clause.
        self.unit.check_use()
        if self.unit.refuses_writes or self.unit.blocked_by:
            raise _refusal(self.unit)
        try:
            super()._bulk_save_mappings(*arguments, **options)
        except BaseException:
            self._forget_frames()
            raise

    def _forget_frames(self) -> None:
        """Drop the tracebacks of errors that SQLAlchemy's transactions keep: their frames would keep objects alive."""
        transaction: Any = self._transaction
        while transaction is not None:
            error = transaction._rollback_exception  # noqa: SLF001 - it has no public name
            if error is not None:
                transaction._rollback_exception = without_frames(error)  # noqa: SLF001 - as above
            transaction = transaction.parent

    def connection(self, *arguments: Any, **options: Any) -> Any:
        unit = self.unit
        unit.check_use()
        if unit.read_only_blocks and not unit.read_only_engaged and not unit.ending:
            read_only.engage(self, unit)
        return super().connection(*arguments, **options)

    def connect(self) -> Any:
        """Take the connection for a statement of the library's own, which is counted and judged by its sender."""
        bind: Any = self.bind
        return self._connection_for_bind(bind)

    def begin(self, nested: bool = False) -> Any:
        if not nested:
            raise TransactionIsOurs("begin")
        self.unit.check_use()
        savepoint = super().begin(nested=True)
        # SQLAlchemy sends SAVEPOINT with the next statement; an error before that would count as the transaction's.
        super().connection()
        return savepoint

    def commit(self) -> None:
        self._only_the_block("commit")
        super().commit()

    def rollback(self) -> None:
        self._only_the_block("rollback")
        super().rollback()

    def close(self) -> None:
        self._only_the_block("close")
        super().close()

    def _only_the_block(self, method: str) -> None:
        if not self.unit.ending:
            raise TransactionIsOurs(method)

    def _recover_or_refuse(self, unit: Unit) -> None:
        """Handle a failed flush or a lost connection: raise `TransactionRolledBack` in a transaction; outside one roll
        back, so that the session can be used again.
        """
        if unit.transactional:
            raise TransactionRolledBack from unit.failure
        if unit.lost or not self.is_active:
            unit.lost = False
            super().rollback()


event.listen(GuardedSession, "after_flush", after_flush)


def _refusal(unit: Unit) -> TransactionError:
    return ReadOnlyTransaction() if unit.blocked_by is None else SecondWriterImpossible(unit.blocked_by)
