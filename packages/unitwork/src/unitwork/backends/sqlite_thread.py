"""The thread of a SQLite connection: it works off what the driver's calls queue, whether or not their loop still runs.

A disk can hold a call up for longer than its caller waits, and than that caller's event loop lives. The driver's thread
then ends by raising "Event loop is closed", which Python prints with a traceback and pytest takes for a failure of
whichever test runs by then; and the connection's file is closed by the garbage collector, whenever that comes.
"""

from threading import Thread
from typing import Any

from aiosqlite import Connection, core


def connect(*arguments: Any, **options: Any) -> Connection:
    """What `aiosqlite.connect` returns, with a thread that ends in silence; for SQLAlchemy's `async_creator_fn`."""
    connection = core.connect(*arguments, **options)
    connection._thread = Thread(target=_work, args=(connection._tx,), daemon=True)  # noqa: SLF001 - no public way to it
    return connection


def _work(calls: Any) -> None:
    while True:
        try:
            core._connection_worker_thread(calls)  # noqa: SLF001 - what aiosqlite's own thread runs, not a copy of it
        except RuntimeError:  # nobody hears of this call; those behind it close the connection
            if not calls.empty():
                continue
        return
