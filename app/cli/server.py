"""Server: uvicorn's server, which SIGINT or SIGTERM ends within the drain timeout."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.importer import import_from_string

from app.long_lived import collected_later, long_lived
from app.serving.bounded_protocol import BoundedProtocol
from app.serving.open_connections import OpenConnections
from app.serving.slow_down import SlowDown
from containers import Container, running

APPLICATION: Final = "app.api:create_app"
"""Import string, as commands must not import `app.api`."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], None]


class Server(uvicorn.Server):
    """Server of a container's application. On shutdown it accepts no more connections; requests have the drain timeout
    to end, then they are cancelled. The container's own drain shares that time.
    """

    def __init__(self, container: Container, *, application: str = APPLICATION, **options: Any) -> None:
        self._container = container
        self._kept = ExitStack()
        with collected_later():
            create = import_from_string(application)
        settings = container.settings()
        connections = OpenConnections(settings.http, settings.max_body_bytes)
        config = uvicorn.Config(
            SlowDown(create(container), connections.refusals),
            log_config=None,
            # Ours names no query, as that holds e-mail addresses.
            access_log=False,
            # The application's own list of proxies counts; uvicorn would trust whoever is on this machine.
            proxy_headers=False,
            server_header=False,
            http=partial(BoundedProtocol, open_connections=connections),  # type: ignore[arg-type]  # any callable
            limit_concurrency=settings.http.limit_concurrency,
            timeout_graceful_shutdown=settings.database.drain_timeout,  # type: ignore[arg-type]  # any number
            **options,
        )
        super().__init__(config)

    def capture_signals(self) -> Any:
        """Capture none: uvicorn raises captured signals again at the end, and SIGTERM would kill the process before it
        has closed its resources.
        """
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then freeze the existing objects against garbage collection."""
        await super().startup(sockets)
        if threading.current_thread() is threading.main_thread():  # in a thread most objects are the program's
            self._kept.enter_context(long_lived())

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Announce the container's drain and unfreeze objects, then shut down as uvicorn does."""
        self._container.lifetime().drain.announce()
        self._kept.close()
        await super().shutdown(sockets)

    async def until_told(self, sockets: list[socket.socket] | None = None) -> bool:
        """Serve inside `running()` until SIGINT or SIGTERM. Return False when the server could not start; it has then
        logged the reason. `sockets` are already bound; without them it binds one itself.

        The container is opened here as well as in the lifespan, as errors such as a missing driver raise here, and the
        server would log them with a traceback.
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
    """Handle SIGINT and SIGTERM by calling `handler` only, for the length of the block. Does nothing outside the main
    thread, where Python allows no signal handlers.
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
