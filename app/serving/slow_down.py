"""SlowDown: clients whose requests are refused again and again are read late.

A refusal costs the server as much as many an answer. A client that opens connections and asks in a loop, whatever it is
told, would take the processor from all others, and more so one that doesn't wait for its answers.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW_SECONDS: Final = 10.0
"""Seconds over which refusals of an address are counted."""
ALLOWED: Final = 200
"""Refusals within the window before an address is slowed."""
WEIGHT_OF_LIMIT: Final = 10
"""Number of refusals that a 429 counts as: its client was told to wait."""
DELAY_SECONDS: Final = 0.25
"""Seconds for which a new connection of a slowed address is not answered. One that is closed meanwhile never is."""
MAX_ADDRESSES: Final = 10_000
"""Maximum number of addresses counted; beyond it the oldest windows are dropped."""


class Refusals:
    """Refusals by the address of the connection. Those in `proxies` speak for many clients, and are never slowed."""

    def __init__(
        self, proxies: Sequence[IPv4Network | IPv6Network] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._proxies = proxies
        self._clock = clock
        self._counted: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Count and end of window by address, oldest window first."""

    def refused(self, address: str, status: int) -> None:
        """Count an answer if it is a refusal."""
        if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        now = self._clock()
        count, ends = self._counted.get(address, (0, 0.0))
        if ends <= now:
            self._counted.pop(address, None)
            count, ends = 0, now + WINDOW_SECONDS
            while len(self._counted) >= MAX_ADDRESSES:
                self._counted.popitem(last=False)
        weight = WEIGHT_OF_LIMIT if status == HTTPStatus.TOO_MANY_REQUESTS else 1
        self._counted[address] = (count + weight, ends)

    def slows(self, address: str) -> bool:
        """Return True if new connections of the address are to be read late."""
        count, ends = self._counted.get(address, (0, 0.0))
        return count > ALLOWED and ends > self._clock() and not self._speaks_for_others(address)

    def _speaks_for_others(self, address: str) -> bool:
        if not self._proxies:
            return False
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self._proxies)


class SlowDown:
    """Outermost middleware: it sees the connection's own address, before a proxy's header replaces it. A slowed client
    that reaches a rate limit loses its connection as well.
    """

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") if scope["type"] == "http" else None
        if client is None:
            await self._app(scope, receive, send)
            return
        address: str = client[0]

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                self._refusals.refused(address, message["status"])
                if message["status"] == HTTPStatus.TOO_MANY_REQUESTS and self._refusals.slows(address):
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, noted)
