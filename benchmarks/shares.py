"""Shares: whose code the time of a piece of work is spent in, by Python's own profiler.

It counts each call of a Python function as dearer than it is, and what is written in C as cheaper: for comparisons.
"""

import cProfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from pstats import Stats
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = {
    "/sqlalchemy/": "SQLAlchemy",
    "/asyncpg/": "asyncpg",
    "/asyncio/": "asyncio",
    "/selectors.py": "asyncio",
}


async def shares(work: Callable[[], Awaitable[object]], *, calls: int) -> str:
    """Percentages, the largest first."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(calls):
        await work()
    profile.disable()
    found: Counter[str] = Counter()
    stats: Any = Stats(profile)
    for (file, _, _), (_, _, own, _, _) in stats.stats.items():
        found[_owner(file)] += own
    whole = sum(found.values())
    return ", ".join(f"{name} {own / whole:.0%}" for name, own in found.most_common() if own / whole >= 0.01)


def _owner(file: str) -> str:
    for part, name in PACKAGES.items():
        if part in file:
            return name
    if file.startswith(str(ROOT)) and "site-packages" not in file:
        return f"{Path(file).relative_to(ROOT).parts[0]}/"
    return "built in (socket, select, greenlet, dict)" if file == "~" else "others"
