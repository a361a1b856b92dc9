"""The thread of a SQLite connection: it works off what the driver's calls queue, whether or not their loop still runs.

A disk can hold a call up for longer than its caller waits, and than that caller's event loop lives. The driver's thread
then ends by raising "Event loop is closed", which Python prints with a traceback and pytest takes for a failure of
whichever test runs by then; and the connection's file is closed by the garbage collector, whenever that comes.
"""

from collections.abc import Awaitable
from threading import Thread
from typing import Any


def connect(*arguments: Any, **options: Any) -> Awaitable[Any]:
    """What `aiosqlite.connect` returns, with a thread that ends in silence; for SQLAlchemy's `async_creator_fn`."""
    # As with every driver, only whoever connects imports it.
    from aiosqlite import core  # noqa: PLC0415 - as above

    def work(calls: Any) -> None:
        while True:
            try:
                core._connection_worker_thread(calls)  # noqa: SLF001 - the thread's own target
            except RuntimeError:  # nobody hears of this call; those behind it close the connection
                if not calls.empty():
                    continue
            return

    connection = core.connect(*arguments, **options)
    connection._thread = Thread(target=work, args=(connection._tx,), daemon=True)  # noqa: SLF001 - as SQLAlchemy does
    return connection
