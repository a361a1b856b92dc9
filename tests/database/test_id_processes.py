"""Ids of many processes, whose clocks are anything: never one twice, and rising within each."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers import Container
from unitwork.connections.lifetime import Lifetime
from unitwork.errors import ClockWentBack, NodeLeaseLost, NodesExhausted
from unitwork.ids import leased_ids
from unitwork.ids.leased_ids import LeasedIds
from unitwork.ids.node_leases import Taken

PROCESSES = 4
IDS = 100_000
START = 1_800_000_000_000


@dataclass
class World:
    """Real time in milliseconds, and the table of leases by the database's clock, which is right. Two nodes only."""

    now: int = START
    rows: dict[int, list[Any]] = field(default_factory=dict)
    holders: int = 0

    async def take(self, _session: Any, *, now: int, ttl: int, reserve: int) -> Taken | None:
        for node in (0, 1):
            _holder, expires_at, used_until = self.rows.get(node, (None, 0, 0))
            if expires_at < self.now and used_until < now:
                self.holders += 1
                self.rows[node] = [self.holders, self.now + ttl, reserve]
                return Taken(node, str(self.holders), used_until)
        return None

    async def renew(self, _connection: Any, taken: Taken, *, ttl: int, reserve: int) -> bool:
        if str(self.rows[taken.node_id][0]) != taken.holder:
            return False
        self.rows[taken.node_id][1:] = [self.now + ttl, reserve]
        return True

    async def release(self, _connection: Any, taken: Taken, *, used_until: int) -> bool:
        if str(self.rows[taken.node_id][0]) != taken.holder:
            return False
        self.rows[taken.node_id][1:] = [0, used_until]
        return True


class Engine:
    """Nothing is sent."""

    pool = None
    dialect = SimpleNamespace(name="sqlite")

    @property
    def sync_engine(self) -> "Engine":
        return self

    def get_execution_options(self) -> dict[str, Any]:
        return {}

    @asynccontextmanager
    async def begin(self) -> Any:
        yield self


@asynccontextmanager
async def block(_name: str) -> Any:
    yield cast("Any", type("Transaction", (), {"session": None}))


class Process:
    """One that may crash, and starts again with the clock of its machine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.offset = 0
        self.slept = 0
        self.last = -1
        self.start()

    def start(self) -> None:
        self.last = -1  # another process
        self.ids = LeasedIds(None, Lifetime(), wait=-1.0, clock=self.clock, monotonic=self.monotonic, sleep=self.sleep)

    def clock(self) -> int:
        return self.world.now + self.offset

    def monotonic(self) -> float:
        return (self.world.now - self.slept) / 1000

    def sleep(self, seconds: float) -> None:
        self.world.now += max(1, round(seconds * 1000))


STEP = st.one_of(
    st.tuples(st.just("make"), st.integers(0, 2), st.integers(1, 1500)),
    st.tuples(st.just("wait"), st.integers(0, 2), st.integers(1, 700_000)),
    st.tuples(st.just("suspend"), st.integers(0, 2), st.integers(1, 700_000)),
    st.tuples(st.just("jump"), st.integers(0, 2), st.integers(-900_000, 900_000)),
    st.tuples(st.just("renew"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("close"), st.integers(0, 2), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_whatever_clocks_and_processes_do_no_id_is_made_twice_and_they_rise(steps: list[tuple[str, int, int]]) -> None:
    made: set[int] = set()

    async def make(process: Process, count: int) -> None:
        try:
            await process.ids.lease(cast("Any", Engine()), block)
            for _ in range(count):
                id_ = process.ids.next_id()
                assert id_ > process.last
                assert id_ not in made
                process.last = id_
                made.add(id_)
        except (NodeLeaseLost, NodesExhausted, ClockWentBack):
            pass  # an error is an answer; None, or somebody's id, is none

    async def live() -> None:
        world = World()
        processes = [Process(world) for _ in range(3)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leased_ids, "node_leases", world)
            for what, number, much in steps:
                process = processes[number]
                match what:
                    case "make":
                        await make(process, much)
                    case "wait":
                        world.now += much
                    case "suspend":
                        world.now += much
                        process.slept += much
                    case "jump":
                        process.offset = much
                    case "renew":
                        await process.ids._renew()
                    case "crash":
                        process.start()
                    case "close":
                        await process.ids._close()
                        process.start()

    asyncio.run(live())


MAKE = """
import asyncio, json, os, sys, time
from containers import Container, running
from unitwork.models import acting_as, SYSTEM
from settings import Settings

url, count, clock_back = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

async def make(clock_back):
    container = Container(settings=Settings(database={"url": url}))
    if clock_back:
        container.id_generator.add_kwargs(clock=lambda: time.time_ns() // 1_000_000 - clock_back)
    async with running(container):
        async with container.transaction()() as tx:
            pass
        ids = container.id_generator()
        return [ids.next_id() for _ in range(count)]

made = asyncio.run(make(clock_back))
reader, writer = os.pipe()
child = os.fork() if clock_back == 0 else -1
if child == 0:
    with os.fdopen(writer, "w") as answer:
        json.dump(asyncio.run(make(0)), answer)
    os._exit(0)
os.close(writer)
if child > 0:
    with os.fdopen(reader) as answer:
        made_by_child = json.load(answer)
    os.waitpid(child, 0)
else:
    made_by_child = []
json.dump([made, made_by_child], sys.stdout)
"""


@pytest.mark.database("own")
def test_four_processes_their_children_and_a_clock_set_back_make_no_id_twice(
    container: Container, record_property: Any, backend: str
) -> None:
    """Trap 32: the node was the same for all processes of a host, and cloned by fork.

    Each forks a child that makes as many; the last one's clock is an hour behind.
    """
    url = container.settings().database.url.render_as_string(hide_password=False)
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, url, str(IDS), str(3_600_000 if number == PROCESSES - 1 else 0)],
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    every: list[int] = []
    for process in started:
        out, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        for made in json.loads(out):
            assert made == sorted(set(made))
            every += made
    nodes = {id_ >> 10 & 0xFFF for id_ in every}
    record_property(
        "figure",
        f"ids ({backend}): {PROCESSES} processes, {PROCESSES - 1} forked children, {len(every)} ids, "
        f"{len(every) - len(set(every))} duplicates, {len(nodes)} nodes",
    )
    assert len(every) == (2 * PROCESSES - 1) * IDS
    assert len(set(every)) == len(every)
