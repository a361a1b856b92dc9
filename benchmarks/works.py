"""The works that there are, by name."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from sqlalchemy import URL

from benchmarks import peers_over_http
from benchmarks.effort import Effort
from benchmarks.results import Section

WORKS: Final[Mapping[str, Callable[[URL, Effort], Coroutine[Any, Any, Section]]]] = {
    "http": peers_over_http.measure,
    "processes": peers_over_http.processes,
}
"""Each is given a database of PostgreSQL, to use as it likes."""
