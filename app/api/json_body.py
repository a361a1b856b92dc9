"""JsonRequest: reads a body as JSON that every parser understands alike (I-JSON, RFC 7493)."""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import Request


class JsonRequest(Request):
    """A request whose body is parsed strictly: UTF-8 without a byte order mark, no name twice in an object, no NaN."""

    async def json(self) -> Any:
        """Return the parsed body. Raises `json.JSONDecodeError` for text that is not such JSON, RecursionError for
        nesting that is too deep, and other ValueErrors for bytes that are not UTF-8 and for integers of thousands of
        digits.
        """
        if not hasattr(self, "_json"):
            self._json = parsed(await self.body())
        return self._json


def parsed(body: bytes) -> Any:
    """Return the value of a JSON text; raises what `JsonRequest.json` raises."""
    return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)


def _object(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        msg = "a name is in an object twice"
        raise json.JSONDecodeError(msg, "", 0)
    return found


def _refuse_constant(_: str) -> Any:
    msg = "NaN and infinities are not JSON"
    raise json.JSONDecodeError(msg, "", 0)
