"""HashQueue: runs password hashes in threads, a bounded number at once, and lets clients wait their turn fairly."""

import asyncio
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from domain.caller import Gone, caller_gone
from domain.client_address import current_client_address, network_of
from domain.errors import ClientGone, TooBusy

T = TypeVar("T")
KEY_SHARE: Final = 8
"""A client network may have at most this fraction (one in `KEY_SHARE`) of the waiting places."""
FIRST_GUESS_SECONDS: Final = 0.1
"""Duration of a hash before any was measured."""
RECENT: Final = 0.2
"""Weight of the latest duration in the moving average."""
MAX_RETRY_SECONDS: Final = 60

Turn = asyncio.Future[None]
Key = str | None


class HashQueue:
    """At most `threads` hashes run at once, in each event loop; further ones wait.

    Networks of clients take turns, and each is served in order of arrival. Of the `max_waiting` places a network has an
    eighth; beyond either bound a hash is refused with `TooBusy`. Where all places are taken, a network with fewer of
    them displaces the newest of the one with the most. Commands, workers and background tasks are one network, without
    bounds: they bring their own concurrency.

    A caller that hangs up while it waits leaves the queue with `ClientGone`.
    """

    def __init__(self, threads: Callable[[], int], max_waiting: Callable[[], int]) -> None:
        self._threads = threads
        self._max_waiting = max_waiting
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """Run a hash in a thread when its turn comes, and return its result. Raises `TooBusy`, `ClientGone`."""
        line = self._line()
        await self._turn(line)
        begun = time.perf_counter()
        try:
            return await anyio.to_thread.run_sync(work, limiter=line.limiter)
        finally:
            line.seconds += RECENT * (time.perf_counter() - begun - line.seconds)
            line.running -= 1
            line.advance(self._threads())

    @property
    def waiting(self) -> int:
        """Return the number of hashes that wait in this event loop."""
        return self._line().waiting()

    def _line(self) -> "_Line":
        loop = asyncio.get_running_loop()
        with self._lock:
            line = self._lines.get(loop)
            if line is None:
                line = self._lines[loop] = _Line()
            return line

    async def _turn(self, line: "_Line") -> None:
        """Wait for a turn. On return the hash counts as running."""
        threads = self._threads()
        line.advance(threads)
        if line.running < threads:
            line.running += 1
            return
        gone = caller_gone()
        key: Key = None
        if gone is not None:
            key = network_of(current_client_address() or "")
            self._make_room(line, key)
        turn = line.join(key)
        watch = None if gone is None else _watched(turn, gone)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                line.running -= 1  # cancelled after its turn had come
                line.advance(self._threads())
            else:
                line.leave(key, turn)
            raise
        finally:
            if watch is not None:
                watch.cancel()

    def _make_room(self, line: "_Line", key: str) -> None:
        """Raise `TooBusy` unless there is a place for the network, or one that it may take from another."""
        places = self._max_waiting()
        own = len(line.turns.get(key, ()))
        if own >= max(1, places // KEY_SHARE):
            raise TooBusy(line.retry_after(self._threads()))
        if line.waiting(bounded=True) < places:
            return
        fullest = max((name for name in line.turns if name is not None), key=lambda name: len(line.turns[name]))
        if len(line.turns[fullest]) <= own + 1:  # an exchange among equals would only reverse the order of arrival
            raise TooBusy(line.retry_after(self._threads()))
        newest = line.turns[fullest][-1]
        line.leave(fullest, newest)
        if not newest.done():
            newest.set_exception(TooBusy(line.retry_after(self._threads())))


@dataclass
class _Line:
    """The queue of one event loop. Touched in its thread alone."""

    turns: OrderedDict[Key, deque[Turn]] = field(default_factory=OrderedDict)
    """Those who wait by network; the first network is next. None: commands and workers. No deque is empty."""
    running: int = 0
    seconds: float = FIRST_GUESS_SECONDS
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(math.inf))
    """Keeps hashes out of the threads that everything else shares."""

    def waiting(self, *, bounded: bool = False) -> int:
        """Return the number of those who wait; `bounded`: only of clients."""
        return sum(len(turns) for key, turns in self.turns.items() if not bounded or key is not None)

    def join(self, key: Key) -> Turn:
        turn: Turn = asyncio.get_running_loop().create_future()
        self.turns.setdefault(key, deque()).append(turn)
        return turn

    def leave(self, key: Key, turn: Turn) -> None:
        """Take a waiting one out; one that isn't there is no error."""
        turns = self.turns.get(key)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del self.turns[key]

    def advance(self, threads: int) -> None:
        """Give turns to those who wait, while there are threads for them."""
        while self.turns and self.running < threads:
            key, turns = self.turns.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self.turns[key] = turns
            if not turn.done():
                self.running += 1
                turn.set_result(None)

    def retry_after(self, threads: int) -> int:
        """Return the seconds until those who are here now will have been served."""
        ahead = self.waiting() + self.running
        return min(MAX_RETRY_SECONDS, max(1, math.ceil(ahead * self.seconds / threads)))


def _watched(turn: Turn, gone: Gone) -> asyncio.Task[None]:
    """Start a task that ends the wait for a turn when the caller has hung up."""

    def ended(task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if not turn.done():
            turn.set_exception(ClientGone() if error is None else error)

    task = asyncio.get_running_loop().create_task(gone())
    task.add_done_callback(ended)
    return task
