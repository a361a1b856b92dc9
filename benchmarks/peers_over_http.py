"""The peers over HTTP: requests per second, round trips, CPU, latencies, memory, as ratios."""

from statistics import median

from sqlalchemy import URL

from benchmarks.effort import Effort
from benchmarks.http.counting import turns_per_second
from benchmarks.http.peer import OURS, PEERS, Peer
from benchmarks.http.rounds import CONNECTIONS, Figures, Table, measured, scaled
from benchmarks.http.work import WORKS, Work
from benchmarks.results import Section

BASE = next(peer for peer in PEERS if peer.module == "fastapi_asyncpg")


async def measure(url: URL, effort: Effort) -> Section:
    """Every peer at every work."""
    figures = await measured(url, PEERS, rounds=effort.rounds, seconds=effort.seconds)
    rows = [
        [work.name, peer.name, *_cells(figures[peer, work], figures[BASE, work])] for work in WORKS for peer in PEERS
    ]
    return Section(
        "Over HTTP",
        f"One process of each, {CONNECTIONS} connections, a table of 10,000 rows, medians of {effort.rounds} rounds of "
        f"{effort.seconds:g} s. Round trips are counted by a relay before the database, on a warm connection. "
        "Gatehouse runs as `gatehouse serve` has it run, with what it started with out of the garbage collector's "
        "sight, and tells a page's rows and total by one statement; the peers run as their tutorials have them.",
        ["work", "stack", "requests/s", f"× {BASE.name}", "round trips", "CPU ms", "p50 ms", "p99 ms", "peak MB"],
        rows,
        [_beside_the_fastest(figures, work) for work in WORKS],
    )


async def processes(url: URL, effort: Effort) -> Section:
    """Ours in two processes beside one, and what the machine has for two processes at all."""
    rows = []
    alone: dict[int, list[float]] = {1: [], 2: []}
    for work in WORKS:
        found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for _ in range(effort.rounds):
            for count, runs in found.items():
                runs.append(await scaled(url, OURS, work, processes=count, seconds=effort.seconds))
        one, two = (median(rate for rate, _ in runs) for runs in found.values())
        busy = [f"{median(share for _, share in runs):.0%}" for runs in found.values()]
        rows.append([work.name, f"{one:.0f}", f"{two:.0f}", f"{two / one:.2f}", *busy])
        for count, turns in alone.items():
            turns += [turns_per_second(count, effort.seconds / 2) for _ in range(effort.rounds)]
    gain = median(alone[2]) / median(alone[1])
    return Section(
        "Two processes",
        "Gatehouse in one process and in two, on this machine's cores, which the database and the load share.",
        ["work", "requests/s of one", "of two", "×", "cores busy with one", "with two"],
        rows,
        [
            "Cores that are busy with one process leave the second one nothing to run on.",
            f"Two processes that only compute, with nothing beside them, do {gain:.2f} times what one does.",
        ],
    )


def _cells(found: Figures, base: Figures) -> list[str]:
    return [
        f"{found.rate:.0f}",
        f"{found.rate / base.rate:.2f}",
        f"{found.trips:g}",
        f"{median(found.cpu) * 1000:.2f}",
        f"{median(found.p50) * 1000:.1f}",
        f"{median(found.p99) * 1000:.1f}",
        f"{median(found.memory) / 1e6:.0f}",
    ]


def _beside_the_fastest(figures: Table, work: Work) -> str:
    def rate(peer: Peer) -> float:
        return figures[peer, work].rate

    fastest = max((peer for peer in PEERS if peer.sqlalchemy and peer is not OURS), key=rate)
    return f"{work.name}: {rate(OURS) / rate(fastest):.2f} × the fastest peer on SQLAlchemy ({fastest.name})."
