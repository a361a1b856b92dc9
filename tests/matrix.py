"""What the tests of a run ran on, as a matrix: by room, and by database or broker."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

COLUMNS: Final = ("sqlite", "postgresql", "mariadb", "memory", "embedded", "redis", "rabbitmq")
"""As they stand in the names of tests; `memory` is the fakes, `embedded` the broker that needs no server."""


def matrix(passed: Iterable[str]) -> Iterator[str]:
    """The lines, from the names of the tests that passed. A test on two of them counts for both."""
    counts: Counter[tuple[str, str]] = Counter()
    for name in passed:
        path, _, parameters = name.partition("[")
        for column in set(re.split(r"\W+", parameters)) & set(COLUMNS):
            counts[_room(path), column] += 1
    columns = [column for column in COLUMNS if any(counted == column for _, counted in counts)]
    if columns:
        yield f"{'passed on':<24}" + "".join(f"{column:>12}" for column in columns)
    for room in sorted({room for room, _ in counts}):
        yield f"{room:<24}" + "".join(f"{counts[room, column] or '':>12}" for column in columns)


def _room(path: str) -> str:
    parts = path.partition("::")[0].split("/")
    return "/".join(parts[:3] if parts[1:2] == ["app"] else parts[:2])
