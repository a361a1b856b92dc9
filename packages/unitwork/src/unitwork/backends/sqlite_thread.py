"""Thread of a SQLite connection: executes the driver's queued calls, even after their event loop has ended.

A slow disk can delay a call beyond its caller and that caller's event loop. The driver's own thread then dies with
"Event loop is closed", which Python prints with a traceback and pytest counts as a failure of whichever test is
running; and the connection's file stays open until garbage collection.
"""

from threading import Thread
from typing import Any

from aiosqlite import Connection, core


def connect(*arguments: Any, **options: Any) -> Connection:
    """Return what `aiosqlite.connect` does, with a thread that ends silently; for SQLAlchemy's `async_creator_fn`."""
    connection = core.connect(*arguments, **options)
    connection._thread = Thread(target=_work, args=(connection._tx,), daemon=True)  # noqa: SLF001 - no public way to it
    return connection


def _work(calls: Any) -> None:
    while True:
        try:
            core._connection_worker_thread(calls)  # noqa: SLF001 - aiosqlite's own thread function
        except RuntimeError:  # the caller is gone; the calls queued behind close the connection
            if not calls.empty():
                continue
        return
