"""Cursors: where a page ended, as text that only we can make.

A cursor holds which list it is of, the list's order and the sort values of a row, signed with HMAC-SHA256. It is
not secret, and what it holds was on the page it came from.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from unitwork.backends.json_codec import dumps, loads
from unitwork.errors.query import InvalidCursor

SIGNATURE_BYTES: Final = 16
MAX_LENGTH: Final = 4096


@cache
def _process_key() -> str:
    return secrets.token_hex(32)


class Cursors:
    """Signs and reads cursors. `key` is asked for when the first one is signed; without it, one is made for
    this process, and its cursors end with it.
    """

    def __init__(self, key: Callable[[], str] = _process_key) -> None:
        self._key = key

    def write(self, order: str, values: list[Any]) -> str:
        """The cursor after the row with these sort values."""
        payload = dumps([order, values]).encode()
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode().rstrip("=")

    def read(self, order: str, cursor: str) -> list[Any]:
        """The sort values. Raises `InvalidCursor` when it isn't ours, or is another order's."""
        if len(cursor) > MAX_LENGTH or not cursor.isascii():
            raise InvalidCursor
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidCursor from None
        signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise InvalidCursor
        its_order, values = loads(payload)
        if its_order != order:
            raise InvalidCursor
        return list(values)

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key().encode(), payload, hashlib.sha256)[:SIGNATURE_BYTES]
