"""The application, and endpoints that are slow on either side of the socket.

Run as a program it is served as `gatehouse serve` serves: `--port PORT`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

from app.api import create_app
from app.api.access import Access, access_table
from app.cli.server import Server
from app.logs import configure_logs
from containers import Container

LARGE_PIECES = 1000
PIECE_BYTES = 65_536


def application(container: Container) -> FastAPI:
    app = create_app(container)
    for line in ("POST /read", "GET /wait", "GET /large", "WEBSOCKET /echo"):
        access_table(app).add(line, Access.ANYONE)

    @app.post("/read")
    async def read(request: Request, pause: float = 0) -> dict[str, int]:
        """Read the body, with a pause before each piece."""
        size = 0
        await asyncio.sleep(pause)
        async for piece in request.stream():
            size += len(piece)
            await asyncio.sleep(pause if piece else 0)
        return {"size": size}

    @app.get("/wait")
    async def wait(seconds: float) -> dict[str, float]:
        await asyncio.sleep(seconds)
        return {"waited": seconds}

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(LARGE_PIECES):
                yield b"x" * PIECE_BYTES

        return StreamingResponse(pieces())

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    return app


if __name__ == "__main__":
    container = Container()
    configure_logs(container.settings())
    server = Server(container, application="tests.flows.socket_application:application", port=int(sys.argv[-1]))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        sys.exit(0 if runner.run(server.until_told()) else 1)
