"""HttpClient: one keep-alive connection that costs the machine little, so that what is measured is the server."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple


class HttpAnswer(NamedTuple):
    """Status (0 without an answer), headers in lower case, body, and seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    took: float

    @property
    def code(self) -> str:
        """The code of a problem document, else an empty text."""
        document = self.headers.get("content-type") == "application/problem+json"
        return str(json.loads(self.body)["code"]) if document else ""


class HttpClient:
    """One request at a time. `source` is the loopback address that it comes from."""

    def __init__(self, address: str, token: str | None = None, *, source: str = "127.0.0.1") -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._host, self._port, self._token, self._source = host, int(port), token, source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HttpAnswer:
        """Send a request; `body` is JSON, or bytes as they are. Underscores in names of headers are hyphens."""
        begun, kept = time.perf_counter(), self._streams is not None
        try:
            async with asyncio.timeout(60):
                try:
                    answer = await self._ask(method, path, body, headers)
                except (OSError, EOFError):
                    if not kept:
                        raise
                    await self.close()  # the server had closed it: another connection, as every client does
                    answer = await self._ask(method, path, body, headers)
        except (OSError, EOFError, TimeoutError):
            await self.close()
            return HttpAnswer(0, {}, b"", time.perf_counter() - begun)
        return HttpAnswer(*answer, time.perf_counter() - begun)

    async def _ask(
        self, method: str, path: str, body: Any, more: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self._streams is None:
            local = (self._source, 0)
            self._streams = await asyncio.open_connection(self._host, self._port, local_addr=local)
        reader, writer = self._streams
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"Host": self._host, "Content-Length": str(len(data)), "Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        content = await reader.readexactly(int(found.get("content-length", "0")))
        if found.get("connection") == "close":
            await self.close()
        return int(head[0].split()[1]), found, content

    async def close(self) -> None:
        """Close the connection; the next request opens another one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()
