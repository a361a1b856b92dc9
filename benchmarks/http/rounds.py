"""Rounds: every peer once in each, one after the other, so that what the machine does meanwhile meets them alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from sqlalchemy import URL

from benchmarks.http import load, table
from benchmarks.http.cores import Cores
from benchmarks.http.peer import Peer
from benchmarks.http.server import Server
from benchmarks.http.work import WORKS, Work
from tests.faults.relay import Relay

CONNECTIONS: Final = 16
WARM: Final = 10
"""Requests before, so that each connection has its statements prepared."""
COUNTED: Final = 20
"""Requests of which the round trips are counted."""


@dataclass
class Figures:
    """A peer's at one work: one of each for each round, and the trips, which don't vary."""

    trips: float = 0.0
    per_second: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second, the median."""
        return median(self.per_second)


Table = dict[tuple[Peer, Work], Figures]


async def measured(url: URL, peers: Sequence[Peer], *, rounds: int, seconds: float) -> Table:
    """Every peer at every work. Raises RuntimeError for an answer of another status than the work's."""
    figures: Table = {(peer, work): Figures() for peer in peers for work in WORKS}
    await table.create(_text(url))
    for peer in peers:
        for work, trips in zip(WORKS, await _trips(url, peer), strict=True):
            figures[peer, work].trips = trips
    for _ in range(rounds):
        for peer in peers:
            await table.trim(_text(url))
            with Server(peer.python, peer.path, _text(url), pool_size=CONNECTIONS) as server:
                for work in WORKS:
                    await _run(server, work, seconds / 4)
                    cpu = server.cpu_seconds()
                    done = await _run(server, work, seconds)
                    found = figures[peer, work]
                    found.per_second.append(done.per_second)
                    found.cpu.append((server.cpu_seconds() - cpu) / done.answered)
                    found.p50.append(done.percentile(0.5))
                    found.p99.append(done.percentile(0.99))
                    found.memory.append(server.peak_memory())
    return figures


async def scaled(url: URL, peer: Peer, work: Work, *, processes: int, seconds: float) -> tuple[float, float]:
    """Requests per second of so many processes of one peer, and how busy the machine's cores were."""
    await table.create(_text(url))
    with Server(peer.python, peer.path, _text(url), pool_size=CONNECTIONS, processes=processes) as server:
        await _run(server, work, seconds / 4)
        cores = Cores()
        done = await _run(server, work, seconds)
        return done.per_second, cores.busy()


async def _trips(url: URL, peer: Peer) -> list[float]:
    """To the database and back, for one request of each work."""
    trips = []
    with Relay(url.host or "127.0.0.1", url.port or 5432) as relay:
        through = url.set(host="127.0.0.1", port=relay.port)
        with Server(peer.python, peer.path, _text(through), pool_size=2) as server:
            for work in WORKS:
                requests = work.requests()
                for _ in range(WARM):
                    await load.run(server.port, requests, connections=1, seconds=0)
                before = relay.round_trips
                for _ in range(COUNTED):
                    await load.run(server.port, requests, connections=1, seconds=0)
                trips.append((relay.round_trips - before) / COUNTED)
    return trips


async def _run(server: Server, work: Work, seconds: float) -> load.Load:
    done = await load.run(server.port, work.requests(), connections=CONNECTIONS, seconds=seconds)
    if set(done.statuses) != {work.status}:
        msg = f"{work.name} was answered {done.statuses}"
        raise RuntimeError(msg)
    return done


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
