"""Query strings as typed by hand: a literal `+`, and parameters that are given twice."""

import re
from collections import Counter
from typing import Final
from urllib.parse import unquote_to_bytes

from fastapi.exceptions import RequestValidationError
from starlette.requests import HTTPConnection

PLUS_MEANT: Final = re.compile(rb"\+")
OFFSET_MEANT: Final = re.compile(rb"\+(?=[0-9]{2}(?::|%3[Aa])?[0-9]{2}$)")
LITERAL_PLUS: Final = {b"email": PLUS_MEANT, b"created_after": OFFSET_MEANT}
"""Patterns of a literal `+` that was not percent-encoded, by parameter: an address has no blank, an offset a sign.
Elsewhere, as in a name, it is a blank, as forms send it. A number's is put back by its schema.
"""
LISTS: Final = frozenset({"column", "drop_invalid"})
"""Parameters that may be given more than once."""


def with_literal_plus(query: bytes) -> bytes:
    """Percent-encode each `+` of the query that stands for itself (`PLUS`), not for a blank."""
    if b"+" not in query:
        return query
    parts = query.split(b"&")
    for place, part in enumerate(parts):
        name, _, value = part.partition(b"=")
        meant = LITERAL_PLUS.get(unquote_to_bytes(name))
        if meant is not None:
            parts[place] = name + b"=" + meant.sub(b"%2B", value)
    return b"&".join(parts)


async def each_once(connection: HTTPConnection) -> None:
    """Raises `RequestValidationError` for a parameter that is given twice: one of the two would count for nothing."""
    given = Counter(name for name, _ in connection.query_params.multi_items())
    repeated = [name for name, times in given.items() if times > 1 and name not in LISTS]
    if repeated:
        raise RequestValidationError(
            [
                {"type": "repeated", "loc": ("query", name), "msg": "is given more than once; give it once"}
                for name in repeated
            ]
        )
