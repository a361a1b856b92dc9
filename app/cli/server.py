"""Server: uvicorn's, ended by a signal within the drain timeout."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.importer import import_from_string

from app.long_lived import collected_later, long_lived
from containers import Container, running

APPLICATION: Final = "app.api:create_app"
"""Named, not imported: commands and HTTP know nothing of each other."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], None]


class Server(uvicorn.Server):
    """Serves a container's application. Told to stop it takes no more connections; requests have the drain timeout to
    end, then they are cancelled. The container's own drain shares that time.
    """

    def __init__(self, container: Container, *, application: str = APPLICATION, **options: Any) -> None:
        self._container = container
        self._kept = ExitStack()
        with collected_later():
            create = import_from_string(application)
        config = uvicorn.Config(
            create(container),
            log_config=None,
            # Ours names no query, as that holds e-mail addresses.
            access_log=False,
            # The application's own list of proxies counts; uvicorn would trust whoever is on this machine.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=container.settings().database.drain_timeout,  # type: ignore[arg-type]  # any number
            **options,
        )
        super().__init__(config)

    def capture_signals(self) -> Any:
        """None: uvicorn would raise them again at the end, and SIGTERM would kill the process before it has closed."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own; what is there then stays."""
        await super().startup(sockets)
        if threading.current_thread() is threading.main_thread():  # in a thread it is others' things
            self._kept.enter_context(long_lived())

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """uvicorn's own."""
        self._container.lifetime().drain.announce()
        self._kept.close()
        await super().shutdown(sockets)

    async def until_told(self, sockets: list[socket.socket] | None = None) -> bool:
        """Serve inside `running()` until SIGINT or SIGTERM; False when the server can't start, and has said why.
        `sockets` are bound already; else it binds one itself.

        Opened here too, the container raises in one line what the server would log with a stack, such as a driver that
        isn't installed.
        """
        with told_by_signals(self.handle_exit):
            async with running(self._container):
                try:
                    await self.serve(sockets=sockets)
                except SystemExit:
                    return False
        return True


@contextmanager
def told_by_signals(handler: Handler) -> Iterator[None]:
    """For the length of the block SIGINT and SIGTERM only call `handler`. Does nothing in a thread: there the signals
    are somebody else's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, handler, number, None)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
