"""Work: the requests each peer is given."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.http.load import request
from benchmarks.http.table import FIRST_ID, ROWS

_NUMBERS: Final = itertools.count()
"""A name that a row has already would be no change."""


@dataclass(frozen=True)
class Work:
    """`requests` gives them without end, the same for each peer."""

    name: str
    status: int
    requests: Callable[[], Iterator[bytes]]


def _ids() -> Iterator[int]:
    draw = random.Random(7)  # the same rows for every peer
    return (draw.randrange(FIRST_ID, ROWS + FIRST_ID) for _ in itertools.count())


def _get() -> Iterator[bytes]:
    return (request("GET", f"/accounts/{id}") for id in _ids())


def _page() -> Iterator[bytes]:
    return itertools.repeat(request("GET", "/accounts?limit=50"))


def _patch() -> Iterator[bytes]:
    return (
        request("PATCH", f"/accounts/{id}", json.dumps({"display_name": f"Name {next(_NUMBERS)}"}).encode())
        for id in _ids()
    )


def _pair() -> Iterator[bytes]:
    return itertools.repeat(request("POST", "/pairs", b'{"first": "One", "second": "Two"}'))


WORKS: Final = (
    Work("GET one", 200, _get),
    Work("list 50 + total", 200, _page),
    Work("PATCH", 200, _patch),
    Work("two rows, one transaction", 201, _pair),
)
