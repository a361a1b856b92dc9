"""SqlMonitor: observes the units of one container through the engine's events. Its own errors never reach the
caller.
"""

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
from unitwork.monitor.record import Event, Record, Transactions
from unitwork.monitor.shape import CANCELLED, OK, Shapes
from unitwork.monitor.spans import Spans
from unitwork.monitor.work import current_work
from unitwork.options import Options
from unitwork.replicas.replicas import Replicas
from unitwork.unit import UNIT, Unit

UNMONITORED: Final = "unitwork_unmonitored"
"""The execution option of statements that the monitor itself sends."""

log = logging.getLogger("unitwork.sql")


class SqlMonitor:
    """Statistics and findings of one container. Use it on the event loop only.

    `settings` returns the settings in force; without it they are the defaults. `thresholds` may be changed at any
    moment; a change applies until other settings come into force. With `monitor=False` nothing is recorded.
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
        """Open units and their records; None for an autocommit statement."""
        self.errors: Counter[str] = Counter()
        """Counts of the monitor's own errors, by type; they are not raised."""
        self.tracer_provider: Any = None
        """OpenTelemetry's tracer provider, read when spans are first used; None is the process's default."""
        self.replicas: Replicas | None = None
        """The replicas that units read from."""
        self.each_second: list[Callable[[], object]] = []
        self.at_close: list[Callable[[], object]] = []
        self.exposition: Any = None
        """The exported metrics (`unitwork.monitor.metrics`)."""
        self._spans: Spans | None = None
        self._locks = LockWaits(self, self._failed)
        self._watch = Watch(self, self._sample, self._look_at_locks)
        self._listening: list[AsyncEngine] = []
        self._detached = False
        self._heeding: AsyncEngine | None = None
        self._renew()

    @property
    def application_name(self) -> str:
        """The application's name in the settings in force."""
        return self._configured().database.application_name

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of the settings in force."""
        self._renew()
        return self._thresholds

    def attach(self, engine: AsyncEngine) -> None:
        """Listen to an engine, unless the settings disable the monitor. Call it inside the engine's event loop;
        idempotent.
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
        """Stop listening when the last unit opened here has ended, as another monitor is in force."""
        self._detached = True
        if not self.open:
            self._stop_listening()

    def _renew(self) -> bool:
        """Apply the settings in force; True if they have changed."""
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
        """Stop watching and listening. Counters are kept."""
        self._stop_listening()
        await self._locks.close()
        self._call(self.at_close)

    def _stop_listening(self) -> None:
        self._watch.stop()
        self.findings.lines.flush()
        self._heeding = None
        for engine in self._listening:
            events.unfollow(engine, self._after)
            event.remove(engine.sync_engine, "handle_error", self._deadlock)
            event.remove(engine.sync_engine, "handle_error", self._error)
        self._listening.clear()

    def opened(self, unit: Unit) -> None:
        """Record that a unit begins."""
        if not self._listening:
            return
        if unit.autocommit:  # the library returns its connection, so it can't leak
            self.open[unit] = None
            return
        record = self.open[unit] = Record(current_request_id(), unit.stack)
        if self._spans is not None and self._settings.traces:
            self._spans.opened(unit, record)

    def left(self, unit: Unit) -> None:
        """Record that the unit and its hooks have ended, with whatever outcome."""
        record = self.open.pop(unit, None)
        if self._detached and not self.open:
            self._stop_listening()
        if record is None:
            return
        try:
            self.transactions.ended(unit, record, time.monotonic())
            failures.report(self.findings, unit, record)
            if record.reported is not None:
                self._watch.ended(unit)
            if self._spans is not None:
                self._spans.left(unit, record)
        except Exception as error:  # noqa: BLE001 - never raises into a unit
            self._failed(error)

    def retried(self) -> None:
        """Count a retry of a unit."""
        self.transactions.retries += 1

    def over_budget(self, name: str, reason: str) -> None:
        """Record an exceeded budget. Raises `BudgetExceeded` if budgets are configured to raise."""
        self.findings.over_budget(name, reason)
        if self._settings.budgets == "raise":
            raise BudgetExceeded(name, reason)

    def sent_directly(self, unit: Unit, statement: str, dialect: str, sent: float, rows: int) -> None:
        """Record a successful statement that bypassed the engine's events."""
        if unit not in self.open:
            return
        try:
            self._count(unit, statement, dialect, sent, time.monotonic(), rows, OK)
        except Exception as error:  # noqa: BLE001 - never raises into a unit
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
        except Exception as error:  # noqa: BLE001 - never raises into a unit
            self._failed(error)

    def _error(self, context: ExceptionContext) -> None:
        now = time.monotonic()
        try:
            execution: Any = context.execution_context
            original = context.original_exception
            if execution is None or context.connection is None or isinstance(original, DatabaseError):
                return  # not a statement, or an error of our own
            # SQLAlchemy sets it if a listener has replaced the error; otherwise the attribute is missing.
            outcome = type(getattr(context, "chained_exception", None) or original).__name__
            if isinstance(original, asyncio.CancelledError):
                outcome = CANCELLED
            self._statement_failed(context.connection, context.statement or "", execution, now, outcome)
        except Exception as error:  # noqa: BLE001 - never raises into a unit
            self._failed(error)

    def _deadlock(self, context: ExceptionContext) -> None:
        """Report a deadlock. It must be the first listener: the next one removes the other process from the error."""
        try:
            failures.deadlock(self.findings, self.shapes, self.open, context)
        except Exception as error:  # noqa: BLE001 - never raises into a unit
            self._failed(error)

    def _statement_failed(self, connection: Connection, statement: str, context: Any, now: float, outcome: str) -> None:
        unit: Unit | None = connection.get_execution_options().get(UNIT)
        sent: float = getattr(context, "unitwork_sent", 0.0)
        if sent and self._follows(unit, connection):
            context.unitwork_sent = 0.0
            self._count(unit, statement, connection.dialect.name, sent, now, 0, outcome)

    def _follows(self, unit: Unit | None, connection: Connection) -> bool:
        """True if the event is to be recorded: not the monitor's own statement, nor another container's."""
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
        facts = {**ended.as_facts(), "request_id": current_request_id()}
        if slow:
            self.findings.report(
                findings.SLOW,
                f"slow SQL, {ended.took * 1000:.0f} ms: {ended}",
                facts,
                shape=ended.shape.fingerprint.id,
                took=ended.took,
            )
        else:
            log.debug("SQL: %s", ended, extra={"sql": {"event": "statement", **facts}})

    def _look_at_locks(self, now: float) -> None:
        # Behind a transaction pooler, the server process of a connection may change at any time.
        if self._settings.pooler == "none":
            self._locks.look(now)

    def _sample(self) -> None:
        self.history.sample(self.shapes.kinds.values(), self.transactions, self.pools.state())
        self._call(self.each_second)

    def _call(self, hooks: list[Callable[[], object]]) -> None:
        for hook in hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001 - never raises into a unit
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        name = type(error).__name__
        self.errors[name] += 1
        if self.errors[name] == 1:
            log.warning("the monitor failed with %s, and goes on", name)
