"""The works that there are, by name."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from sqlalchemy import URL

from benchmarks import (
    bulk_insert,
    csv_import,
    in_blocks,
    keyset,
    lone_read,
    monitor_overhead,
    peers_over_http,
    provider_overhead,
    start_up,
    streams,
)
from benchmarks.effort import Effort
from benchmarks.results import Section

WORKS: Final[Mapping[str, Callable[[URL, Effort], Coroutine[Any, Any, Section]]]] = {
    "http": peers_over_http.measure,
    "processes": peers_over_http.processes,
    "lone-read": lone_read.measure,
    "in-blocks": in_blocks.measure,
    "keyset": keyset.measure,
    "bulk-insert": bulk_insert.measure,
    "csv-import": csv_import.measure,
    "streams": streams.measure,
    "start-up": start_up.measure,
    "provider": provider_overhead.measure,
    "monitor": monitor_overhead.measure,
}
"""Each is given a database of PostgreSQL, to use as it likes."""
