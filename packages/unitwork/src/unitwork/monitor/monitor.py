"""SqlMonitor: knows what every unit of one container does. Told by the engine's events; raises nothing into them."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from unitwork.call_site import CallSite, asking
from unitwork.connections import listeners as events
from unitwork.errors import DatabaseError
from unitwork.models.request_id import current_request_id
from unitwork.monitor.budget import BudgetExceeded
from unitwork.monitor.findings import failures
from unitwork.monitor.findings import finding as findings
from unitwork.monitor.findings.finding import Findings
from unitwork.monitor.findings.lock_waits import LockWaits
from unitwork.monitor.findings.repetition import count_repetition
from unitwork.monitor.findings.thresholds import Configured, Defaults, Thresholds
from unitwork.monitor.findings.watch import Watch
from unitwork.monitor.history import History
from unitwork.monitor.pools import Pools
from unitwork.monitor.record import Event, Record
from unitwork.monitor.shape import CANCELLED, OK, Shapes
from unitwork.monitor.spans import Spans
from unitwork.monitor.transactions import Transactions
from unitwork.monitor.work import current_work
from unitwork.options import Options
from unitwork.unit import UNIT, Unit

UNMONITORED: Final = "unitwork_unmonitored"
"""The execution option of what the monitor itself sends."""

log = logging.getLogger("unitwork.sql")


class SqlMonitor:
    """Of one container: what it counts, keeps and reports belongs to that container alone. On the event loop only.

    `settings` gives those in force; without it they are the defaults. `thresholds` may be changed at any moment, and
    such a change belongs to the settings it was made under. Nothing is recorded where they say `monitor=False`.
    """

    def __init__(self, settings: Callable[[], Configured] | None = None) -> None:
        self._configured = settings or Defaults().itself
        self._seen: Configured | None = None
        self._kept: WeakKeyDictionary[Options, Thresholds] = WeakKeyDictionary()
        self.shapes = Shapes()
        self.findings = Findings()
        self.transactions = Transactions()
        self.pools = Pools()
        self.history = History()
        self.open: dict[Unit, Record | None] = {}
        """Units that have begun and not ended; None for an autocommit statement's."""
        self.errors: Counter[str] = Counter()
        """The monitor's own, which reach nobody."""
        self.tracer_provider: Any = None
        """OpenTelemetry's, from where it is first used; None is the process's."""
        self.each_second: list[Callable[[], object]] = []
        self.at_close: list[Callable[[], object]] = []
        self.exposition: Any = None
        """The metrics that are made of it (`unitwork.monitor.metrics`)."""
        self._spans: Spans | None = None
        self._locks = LockWaits(self, self._failed)
        self._watch = Watch(self, self._sample, self._look_at_locks)
        self._listening: list[AsyncEngine] = []
        self._detached = False
        self._heeding: AsyncEngine | None = None
        self._renew()

    @property
    def application_name(self) -> str:
        """Of the settings in force."""
        return self._configured().database.application_name

    @property
    def thresholds(self) -> Thresholds:
        """Of the settings in force."""
        self._renew()
        return self._thresholds

    def attach(self, engine: AsyncEngine) -> None:
        """Listen to an engine, where the settings say so; from inside the event loop that it is used in. Safe to call
        again.
        """
        if self._renew() or engine is not self._heeding or self._detached:
            self._detached, self._heeding = False, engine
            if self._settings.traces and self._spans is None:
                self._spans = Spans(engine.dialect.name, self.tracer_provider)
            if not self._settings.monitor:
                self._stop_listening()
            elif engine not in self._listening:
                self._listen(engine)

    def detach(self) -> None:
        """Another monitor is in force: stop listening, once the last unit that was opened here has ended."""
        self._detached = True
        if not self.open:
            self._stop_listening()

    def _renew(self) -> bool:
        """Heed the settings in force; True when they are others than before."""
        configured = self._configured()
        if configured is self._seen:
            return False
        self._seen, self._settings = configured, configured.database
        thresholds = self._kept.get(self._settings)
        if thresholds is None:
            thresholds = self._kept[self._settings] = Thresholds.of(self._settings)
        self._thresholds = thresholds
        return True

    def _listen(self, engine: AsyncEngine) -> None:
        target = engine.sync_engine
        events.follow(engine, self._after)
        event.listen(target, "handle_error", self._deadlock, insert=True)
        event.listen(target, "handle_error", self._error)
        self._listening.append(engine)
        self.pools.add(engine)
        self._watch.start(asyncio.get_running_loop())

    async def close(self) -> None:
        """Stop watching and listening. What was counted is kept."""
        self._stop_listening()
        await self._locks.close()
        self._call(self.at_close)

    def _stop_listening(self) -> None:
        self._watch.stop()
        self._heeding = None
        for engine in self._listening:
            events.unfollow(engine, self._after)
            event.remove(engine.sync_engine, "handle_error", self._deadlock)
            event.remove(engine.sync_engine, "handle_error", self._error)
        self._listening.clear()

    def opened(self, unit: Unit) -> None:
        """A unit begins."""
        if not self._listening:
            return
        if unit.autocommit:  # it is the machinery that gives its connection back: it can't be forgotten
            self.open[unit] = None
            return
        record = self.open[unit] = Record(current_request_id(), unit.stack)
        if self._spans is not None and self._settings.traces:
            self._spans.opened(unit, record)

    def left(self, unit: Unit) -> None:
        """The unit has ended, however it did, and so have its hooks."""
        record = self.open.pop(unit, None)
        if self._detached and not self.open:
            self._stop_listening()
        if record is None:
            return
        try:
            self.transactions.ended(unit, record, time.monotonic())
            failures.report(self.findings, unit, record)
            if record.told is not None:
                self._watch.ended(unit)
            if self._spans is not None:
                self._spans.left(unit, record)
        except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
            self._failed(error)

    def retried(self) -> None:
        """A unit is tried again."""
        self.transactions.retries += 1

    def over_budget(self, name: str, reason: str) -> None:
        """A budget was exceeded. Raises `BudgetExceeded` where budgets are to raise."""
        self.findings.over_budget(name, reason)
        if self._settings.budgets == "raise":
            raise BudgetExceeded(name, reason)

    def sent_directly(self, unit: Unit, statement: str, dialect: str, sent: float, rows: int) -> None:
        """A statement has ended well of which the engine has told nothing."""
        if unit not in self.open:
            return
        try:
            self._count(unit, statement, dialect, sent, time.monotonic(), rows, OK)
        except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
            self._failed(error)

    def _after(self, unit: Unit | None, connection: Connection, cursor: Any, statement: str, context: Any) -> None:
        now = time.monotonic()
        try:
            if self._follows(unit, connection):
                rows = cursor.rowcount
                if rows < 0:
                    rows = len(getattr(cursor, "_rows", ()))
                self._count(unit, statement, context.dialect.name, context.unitwork_sent, now, rows, OK)
                context.unitwork_sent = 0.0
        except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
            self._failed(error)

    def _error(self, context: ExceptionContext) -> None:
        now = time.monotonic()
        try:
            execution: Any = context.execution_context
            original = context.original_exception
            if execution is None or context.connection is None or isinstance(original, DatabaseError):
                return  # it was no statement, or an error of ours
            # SQLAlchemy sets it where a listener has named another error; where none has, it isn't even there.
            outcome = type(getattr(context, "chained_exception", None) or original).__name__
            if isinstance(original, asyncio.CancelledError):
                outcome = CANCELLED
            self._statement_failed(context.connection, context.statement or "", execution, now, outcome)
        except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
            self._failed(error)

    def _deadlock(self, context: ExceptionContext) -> None:
        """First of the listeners: the next one wipes what names the other side."""
        try:
            failures.deadlock(self.findings, self.shapes, self.open, context)
        except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
            self._failed(error)

    def _statement_failed(self, connection: Connection, statement: str, context: Any, now: float, outcome: str) -> None:
        unit: Unit | None = connection.get_execution_options().get(UNIT)
        sent: float = getattr(context, "unitwork_sent", 0.0)
        if sent and self._follows(unit, connection):
            context.unitwork_sent = 0.0
            self._count(unit, statement, connection.dialect.name, sent, now, 0, outcome)

    def _follows(self, unit: Unit | None, connection: Connection) -> bool:
        """Not what the monitor itself sends, nor another container's."""
        return unit in self.open if unit is not None else UNMONITORED not in connection.get_execution_options()

    def _count(
        self, unit: Unit | None, statement: str, dialect: str, sent: float, now: float, rows: int, outcome: str
    ) -> None:
        took = now - sent
        record = None
        if unit is not None and unit.autocommit:
            call_site: CallSite | str | None = unit.call_site
            via = None
        else:
            call_site, via = asking(beyond_greenlet=unit is not None and unit.carried)
            record = None if unit is None else self.open[unit]
        if unit is not None and unit.cancelled is not None:
            outcome = CANCELLED
        shape = self.shapes.of(statement, dialect)
        shape.ended(now, took, rows, outcome)
        shape.call_site = call_site or via
        event = (now, shape, call_site, via, took, rows, outcome)
        found = shape.fingerprint
        if record is not None:
            record.keep(event)
            record.idle += sent - record.active
            record.active = now
            record.in_sql += took
            record.statements += not found.controls
        work = current_work.get()
        if found.reads_one and (rows < 2 or not found.limited):
            count_repetition(self.findings, self._thresholds.repeated_sql, record, work, event)
        while work is not None:
            work.statements += not found.controls
            work.in_sql += took
            work.judge = self
            work = work.outer
        slow = self._thresholds.slow_sql
        if slow is not None and took >= slow:
            self._tell(Event(*event), slow=True)
        elif outcome is not OK or log.isEnabledFor(logging.DEBUG):
            self._tell(Event(*event), slow=False)
        if self._spans is not None and self._settings.traces:
            self._spans.statement(record, Event(*event))

    def _tell(self, ended: Event, *, slow: bool) -> None:
        facts = {**ended.told(), "request_id": current_request_id()}
        if slow:
            self.findings.report(findings.SLOW, f"slow SQL, {ended.took * 1000:.0f} ms: {ended}", facts)
        else:
            log.debug("SQL: %s", ended, extra={"sql": {"event": "statement", **facts}})

    def _look_at_locks(self, now: float) -> None:
        # Through a transaction pooler, the process that a connection began with may be somebody else's by now.
        if self._settings.pooler == "none":
            self._locks.look(now)

    def _sample(self) -> None:
        self.history.sample(self.shapes.kinds.values(), self.transactions, self.pools.state())
        self._call(self.each_second)

    def _call(self, hooks: list[Callable[[], object]]) -> None:
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - a monitor breaks nothing
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        name = type(error).__name__
        self.errors[name] += 1
        if self.errors[name] == 1:
            log.warning("the monitor failed with %s, and goes on", name)
