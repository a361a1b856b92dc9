"""Clock: what a piece of work costs in this process. Pieces take turns, so that the machine's moods meet all."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

WARM: Final = 50


@dataclass(frozen=True)
class Cost:
    """Seconds for one call, medians of the rounds: of CPU, and by the clock on the wall."""

    cpu: float
    wall: float


async def costs(
    pieces: Mapping[str, Callable[[], Awaitable[object]]], *, rounds: int, calls: int, warm: int = WARM
) -> dict[str, Cost]:
    """Each piece's cost for one call. The garbage that a piece makes is its own."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in pieces}
    for piece in pieces.values():
        for _ in range(warm):
            await piece()
    for _ in range(rounds):
        for name, piece in pieces.items():
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(calls):
                await piece()
            found[name].append(((time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls))
    return {
        name: Cost(median(cpu for cpu, _ in each), median(wall for _, wall in each)) for name, each in found.items()
    }
