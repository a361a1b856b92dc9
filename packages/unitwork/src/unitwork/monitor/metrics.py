"""Metrics: a monitor's counters in Prometheus format, summed over processes that share a folder.

They are computed on a scrape, not while statements run. With a folder, each container writes its own files in the
format of prometheus_client's multi-process mode, every second and before a scrape; any process can answer for all.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from math import isinf
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from unitwork.monitor.findings.finding import KINDS
from unitwork.monitor.monitor import SqlMonitor
from unitwork.monitor.shape import BUCKETS

COUNTER, GAUGE, LARGEST, HISTOGRAM = "counter", "gauge_livesum", "gauge_livemax", "histogram"
"""Kinds of metrics, as in the names of files: of gauges, processes' values are summed, or the largest is taken."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_numbers: Final = count()
"""Distinguishes the files of several containers in one process."""


class Metric(NamedTuple):
    """One metric. `values` are keyed by label values; a histogram's are its buckets (not cumulative) and its sum."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], Any]


def metrics(
    monitor: SqlMonitor, gauges: Mapping[str, tuple[str, float]] | None = None, *, namespace: str | None = None
) -> Iterator[Metric]:
    """Yield the monitor's metrics, and additional `gauges`: a mapping of name to help text and value.

    Names of the monitor's metrics begin with `namespace`, or else with the application's name.
    """
    namespace = _namespace(monitor) if namespace is None else namespace
    kinds = list(monitor.shapes.kinds.values())
    yield Metric(
        COUNTER,
        f"{namespace}_sql_statements",
        "Statements by kind and how they ended",
        ("kind", "outcome"),
        {
            (kind.name, outcome): value
            for kind in kinds
            for outcome, value in (("ok", kind.ok), ("failed", kind.failed), ("cancelled", kind.cancelled))
            if value
        },
    )
    yield Metric(
        HISTOGRAM,
        f"{namespace}_sql_statement_seconds",
        "How long statements took",
        ("kind",),
        {(kind.name,): (kind.buckets, kind.seconds) for kind in kinds if any(kind.buckets)},
    )
    done = monitor.transactions
    yield Metric(
        COUNTER,
        f"{namespace}_transactions",
        "Units of work by how they ended",
        ("outcome",),
        {(outcome,): value for outcome, value in done.outcomes.items()},
    )
    yield Metric(
        HISTOGRAM,
        f"{namespace}_transaction_seconds",
        "How long units of work were open",
        (),
        {(): (done.buckets, done.seconds)},
    )
    yield _plain(COUNTER, f"{namespace}_transaction_retries", "Attempts after the first", done.retries)
    yield _plain(COUNTER, f"{namespace}_transaction_idle_seconds", "Time between statements", done.idle)
    yield _plain(GAUGE, f"{namespace}_transactions_open", "Units of work that are open", len(monitor.open))
    yield Metric(
        COUNTER,
        f"{namespace}_findings",
        "What the monitor has reported",
        ("kind",),
        {(kind,): monitor.findings.counts[kind] for kind in KINDS},
    )
    yield Metric(
        COUNTER,
        f"{namespace}_budget_exceeded",
        "Budgets that were exceeded",
        ("budget",),
        {(name,): value for name, value in monitor.findings.budgets.items()},
    )
    pool = monitor.pools.state()
    yield _plain(GAUGE, f"{namespace}_pool_capacity", "Connections at most", pool.capacity)
    yield _plain(GAUGE, f"{namespace}_pool_open", "Connections that are open", pool.open)
    yield _plain(GAUGE, f"{namespace}_pool_in_use", "Connections in use", pool.in_use)
    yield _plain(GAUGE, f"{namespace}_pool_waiting", "Units that wait for a connection", pool.waiting)
    yield _plain(COUNTER, f"{namespace}_pool_waits", "Units that have waited for a connection", pool.waits)
    yield _plain(COUNTER, f"{namespace}_pool_wait_seconds", "Time waited for connections", pool.waited)
    yield _plain(COUNTER, f"{namespace}_pool_timeouts", "Units that got no connection in time", pool.timeouts)
    yield _plain(COUNTER, f"{namespace}_pool_refused", "Units refused as overload of their lane", pool.refused)
    yield from _of_replicas(monitor, namespace)
    yield _plain(COUNTER, f"{namespace}_monitor_errors", "Errors of the monitor itself", monitor.errors.total())
    for name, (help, value) in (gauges or {}).items():
        yield _plain(LARGEST, name, help, value)


def _of_replicas(monitor: SqlMonitor, namespace: str) -> Iterator[Metric]:
    """Yield the metrics of replicas; none without any."""
    replicas = monitor.replicas
    if replicas is None:
        return
    served: dict[tuple[str, ...], int] = {(server,): number for server, number in replicas.served.items()}
    yield Metric(COUNTER, f"{namespace}_units_served", "Units by the server that was chosen", ("server",), served)
    states, labels = replicas.states(), ("replica",)
    used: dict[tuple[str, ...], float] = {(state.address,): float(state.used) for state in states}
    yield Metric(GAUGE, f"{namespace}_replica_used", "Processes whose reads may use the replica now", labels, used)
    lags: dict[tuple[str, ...], float] = {(state.address,): state.lag for state in states if state.lag is not None}
    yield Metric(LARGEST, f"{namespace}_replica_lag_seconds", "Age of what a replica certainly shows", labels, lags)


def _namespace(monitor: SqlMonitor) -> str:
    return re.sub(r"\W+", "_", monitor.application_name)


def _plain(kind: str, name: str, help: str, value: float) -> Metric:
    return Metric(kind, name, help, (), {(): value})


class Exposition:
    """Exports the metrics of one monitor. If there is a folder, its files are opened at the first `write` and closed
    with the monitor. `folder` is called each time, and may return another one.
    """

    def __init__(self, monitor: SqlMonitor, folder: Callable[[], Path | None]) -> None:
        self._monitor = monitor
        self._folder_in_force = folder
        self._folder: Path | None = None
        self._files: dict[str, tuple[Path, Any]] = {}
        self._number = next(_numbers)
        monitor.each_second.append(self.write)
        monitor.at_close.append(self.close)

    def text(self, gauges: Mapping[str, tuple[str, float]] | None = None) -> bytes:
        """Return the answer to a scrape."""
        self.write(gauges)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(self._families(gauges)))
        return generate_latest(registry)

    def _families(self, gauges: Mapping[str, tuple[str, float]] | None) -> Iterable[Any]:
        if self._folder is None:
            return [_family(metric) for metric in metrics(self._monitor, gauges)]
        files = sorted(str(file) for file in self._folder.glob("*.db") if _counts(file))
        merge: Any = MultiProcessCollector.merge  # it has no types
        return list(merge(files))

    def write(self, gauges: Mapping[str, tuple[str, float]] | None = None) -> None:
        """Update the files, if there is a folder."""
        folder = self._folder_in_force()
        if folder != self._folder:
            self._close_files()
            self._folder = folder
        if self._folder is None:
            return
        for metric in metrics(self._monitor, gauges):
            file = self._file(metric.kind)
            for key, value in _samples(metric):
                file.write_value(key, float(value), 0.0)

    def close(self) -> None:
        """Write the counters a last time, and remove the gauges, which are valid only while the container runs."""
        self.write()
        self._close_files()

    def _close_files(self) -> None:
        for kind, (path, file) in self._files.items():
            file.close()
            if kind in {GAUGE, LARGEST}:
                path.unlink(missing_ok=True)
        self._files.clear()

    def _file(self, kind: str) -> Any:
        if kind not in self._files:
            folder = Path() if self._folder is None else self._folder
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"{kind}_{os.getpid()}-{self._number}.db"
            path.unlink(missing_ok=True)  # left by an earlier process with the same id
            open_file: Any = MmapedDict  # it has no types
            self._files[kind] = path, open_file(str(path))
        return self._files[kind][1]


def exposition(monitor: SqlMonitor, folder: Callable[[], Path | None]) -> Exposition:
    """Return the monitor's exposition, created on the first call; from then on it writes its files each second."""
    made: Exposition | None = monitor.exposition
    if made is None:
        made = monitor.exposition = Exposition(monitor, folder)
    return made


class _Collected:
    def __init__(self, families: Iterable[Any]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        return self._families


def _family(metric: Metric) -> Any:
    if metric.kind == HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, (buckets, total) in metric.values.items():
            below, bounds = 0, []
            for bound, number in zip((*BUCKETS, float("inf")), buckets, strict=True):
                below += number
                bounds.append((_bound(bound), float(below)))
            histogram.add_metric(labels, bounds, total)
        return histogram
    family = (CounterMetricFamily if metric.kind == COUNTER else GaugeMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )
    for labels, value in metric.values.items():
        family.add_metric(labels, value)
    return family


def _samples(metric: Metric) -> Iterator[tuple[str, float]]:
    """Yield each value with its key in prometheus_client's files."""
    names = list(metric.labels)
    for labels, value in metric.values.items():
        if metric.kind != HISTOGRAM:
            name = f"{metric.name}_total" if metric.kind == COUNTER else metric.name
            yield mmap_key(metric.name, name, names, list(labels), metric.help), value
            continue
        buckets, total = value
        yield mmap_key(metric.name, f"{metric.name}_sum", names, list(labels), metric.help), total
        for bound, number in zip((*BUCKETS, float("inf")), buckets, strict=True):
            found = [*labels, _bound(bound)]
            yield mmap_key(metric.name, f"{metric.name}_bucket", [*names, "le"], found, metric.help), number


def _bound(seconds: float) -> str:
    return "+Inf" if isinf(seconds) else repr(seconds)


def _counts(file: Path) -> bool:
    """True if a file is to be included: files of gauges count only while their process is alive."""
    if not file.name.startswith("gauge_live"):
        return True
    process = file.stem.rpartition("_")[2].partition("-")[0]
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True
