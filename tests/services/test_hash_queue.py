"""HashQueue: bounded, fair by network, left by callers who hang up, and one for each event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from domain.caller import bound_caller, caller_gone
from domain.client_address import bound_client_address, network_of
from domain.errors import ClientGone, TooBusy
from services.hash_queue import HashQueue
from services.passwords import Passwords
from settings.passwords import PasswordSettings


class Hashes:
    """A queue of one thread whose hashes end when they are let go, and the order in which they began."""

    def __init__(self, max_waiting: int = 64, threads: int = 1) -> None:
        self.queue = HashQueue(lambda: threads, lambda: max_waiting)
        self.begun: list[str] = []
        self.let_go = threading.Event()
        self.hung_up = asyncio.Event()

    def start(self, name: str, address: str | None = None) -> "asyncio.Task[str]":
        """Hash for a client at this address; None: for a command."""

        def work() -> str:
            self.begun.append(name)
            assert self.let_go.wait(20)
            return name

        async def hung_up() -> None:
            await self.hung_up.wait()

        async def run() -> str:
            if address is None:
                return await self.queue.run(work)
            with bound_client_address(address), bound_caller(hung_up):
                return await self.queue.run(work)

        return asyncio.create_task(run())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - a thread changes it
                await asyncio.sleep(0.001)

    async def filled(self, count: int, address: str) -> "list[asyncio.Task[str]]":
        tasks = [self.start(f"{address} {number}", address) for number in range(count)]
        await asyncio.sleep(0.01)
        return tasks


@asynccontextmanager
async def busy(max_waiting: int = 64) -> AsyncIterator[Hashes]:
    """A queue whose one thread is taken."""
    hashes = Hashes(max_waiting)
    first = hashes.start("first")
    await hashes.until(lambda: hashes.begun == ["first"])
    yield hashes
    hashes.let_go.set()
    await first
    await hashes.until(lambda: hashes.queue.waiting == 0)
    line = hashes.queue._line()
    await hashes.until(lambda: line.running == 0)
    assert not line.turns


async def refusals(tasks: "list[asyncio.Task[str]]") -> list[BaseException]:
    return [result for result in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(result, Exception)]


async def test_networks_take_turns_and_each_is_served_in_order_of_arrival() -> None:
    async with busy() as hashes:
        flood = await hashes.filled(5, "10.0.0.1")
        others = [hashes.start("b1", "10.0.0.2"), hashes.start("c1"), hashes.start("b2", "10.0.0.2")]
        await asyncio.sleep(0.01)
        hashes.let_go.set()
        assert await refusals([*flood, *others]) == []
        order = ["10.0.0.1 0", "b1", "c1", "10.0.0.1 1", "b2", "10.0.0.1 2", "10.0.0.1 3", "10.0.0.1 4"]
        assert hashes.begun == ["first", *order]


async def test_a_network_has_an_eighth_of_the_places() -> None:
    async with busy() as hashes:
        tasks = await hashes.filled(8, "2001:db8::1")
        for address in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:5::%eth0"):
            with pytest.raises(TooBusy) as refused:
                await hashes.start("ninth", address)
            assert 1 <= refused.value.retry_after <= 60
        other = hashes.start("other", "2001:db8:0:1::1")
        hashes.let_go.set()
        assert await refusals([*tasks, other]) == []


async def test_a_full_queue_has_room_for_another_network_at_the_cost_of_the_fullest() -> None:
    async with busy(16) as hashes:
        floods = [await hashes.filled(2, f"10.0.0.{number}") for number in range(8)]
        assert hashes.queue.waiting == 16
        owner = hashes.start("owner", "192.0.2.1")
        await asyncio.sleep(0.01)
        assert hashes.queue.waiting == 16
        displaced = [task for flood in floods for task in flood if task.done()]
        assert len(displaced) == 1
        assert displaced == [floods[0][1]], "the newest of the fullest"
        assert isinstance(displaced[0].exception(), TooBusy)
        with pytest.raises(TooBusy):
            await hashes.start("too many", "10.0.0.0")
        hashes.let_go.set()
        assert await owner == "owner"
        await refusals([task for flood in floods for task in flood])


async def test_a_queue_that_is_full_of_equals_refuses() -> None:
    async with busy(4) as hashes:
        tasks = [hashes.start(f"{number}", f"10.0.0.{number}") for number in range(4)]
        await asyncio.sleep(0.01)
        with pytest.raises(TooBusy):
            await hashes.start("fifth", "10.0.0.9")
        commands = [hashes.start(f"command {number}") for number in range(20)]
        hashes.let_go.set()
        assert await refusals([*tasks, *commands]) == []


async def test_who_hangs_up_is_not_hashed_for_and_leaves_at_once() -> None:
    async with busy() as hashes:
        tasks = await hashes.filled(5, "10.0.0.1")
        command = hashes.start("command")
        await asyncio.sleep(0.01)
        hashes.hung_up.set()
        assert [type(error) for error in await refusals(tasks)] == [ClientGone] * 5
        assert hashes.queue.waiting == 1
        hashes.let_go.set()
        assert await command == "command"
        assert hashes.begun == ["first", "command"]


async def test_a_cancelled_one_leaves_the_queue_clean_also_as_its_turn_comes() -> None:
    async with busy() as hashes:
        waiting, last = hashes.start("waiting", "10.0.0.1"), hashes.start("last", "10.0.0.2")
        await asyncio.sleep(0.01)
        waiting.cancel()
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
        assert hashes.queue.waiting == 1
        line = hashes.queue._line()
        line.running -= 1
        line.advance(1)  # gives the turn to the last one, which is cancelled before it runs
        assert line.running == 1
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)
        assert line.running == 0
        line.running += 1
        assert hashes.begun == ["first"]


async def test_what_fails_while_waiting_for_the_caller_is_raised() -> None:
    async def broken() -> None:
        raise OSError

    async with busy() as hashes:
        with bound_caller(broken), pytest.raises(OSError):
            await hashes.queue.run(lambda: None)


async def test_the_caller_is_listened_to_only_in_the_queue_and_while_it_waits() -> None:
    asked = 0

    async def hung_up() -> None:
        nonlocal asked
        asked += 1

    queue = HashQueue(lambda: 1, lambda: 64)
    with bound_caller(hung_up):
        assert await queue.run(lambda: 5) == 5
        in_background = asyncio.create_task(asyncio.sleep(0, caller_gone), name="a copy of this context")
        assert caller_gone() is hung_up
        late = asyncio.get_running_loop().create_future()

        async def after() -> object:
            await late
            return caller_gone()

        outlives = asyncio.create_task(after())
    await in_background
    late.set_result(None)
    assert await outlives is None, "nobody waits for what outlives its request"
    assert asked == 0


def test_each_event_loop_has_a_queue_of_its_own() -> None:
    passwords = Passwords(lambda: PasswordSettings(time_cost=1, memory_cost=8, parallelism=1, threads=1))
    found: list[str] = []

    async def hash_some() -> None:
        found.extend(await asyncio.gather(*(passwords.hash("correct horse battery") for _ in range(8))))

    threads = [threading.Thread(target=asyncio.run, args=(hash_some(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 32


def test_a_processor_is_left_to_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, threads in ((8, 7), (2, 1), (1, 1), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda processors=processors: processors)
        assert Passwords(PasswordSettings)._threads() == threads
        assert Passwords(lambda: PasswordSettings(threads=3))._threads() == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::1%25eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
        ("192.0.2.07", "192.0.2.07"),
    ],
)
def test_a_network_is_an_ipv4_address_or_a_64(address: str, network: str) -> None:
    assert network_of(address) == network
