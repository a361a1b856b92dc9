"""Kinds of work of one process, measured in turn: what each costs beside the first."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from app.long_lived import long_lived
from benchmarks.effort import Effort

SLICES: Final = 20
"""A round is so many slices of each in turn, so that whatever else the machine does meets them all alike."""

Unit = Callable[[], Awaitable[None]]


@dataclass
class Cost:
    """Of one unit, in seconds: one figure for each slice."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


async def in_turn(kinds: Mapping[str, Unit], effort: Effort) -> dict[str, Cost]:
    """Warmed up, and without the garbage collector's pauses, which hit whoever is on."""
    costs = {name: Cost() for name in kinds}
    per_slice = await _units_in(kinds, effort.seconds / SLICES / len(kinds))
    with long_lived():
        for _ in range(effort.rounds * SLICES):
            for name, unit in kinds.items():
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(per_slice):
                    await unit()
                costs[name].wall.append((time.perf_counter() - wall) / per_slice)
                costs[name].cpu.append((time.process_time() - cpu) / per_slice)
    return costs


async def _units_in(kinds: Mapping[str, Unit], seconds: float) -> int:
    """How many units fit; each kind is warm afterwards."""
    begun = time.perf_counter()
    for _ in range(100):
        for unit in kinds.values():
            await unit()
    each = (time.perf_counter() - begun) / 100 / len(kinds)
    return max(int(seconds / each), 5)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of slices that ran next to each other."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def row(name: str, cost: Cost, base: Cost) -> list[str]:
    """Of a table: wall time and CPU, each in milliseconds and as a ratio."""
    return [
        name,
        f"{median(cost.wall) * 1000:.3f}",
        f"{ratio(cost.wall, base.wall):.2f}",
        f"{median(cost.cpu) * 1000:.3f}",
        f"{ratio(cost.cpu, base.cpu):.2f}",
    ]
