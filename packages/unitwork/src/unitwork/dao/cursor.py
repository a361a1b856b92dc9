"""Cursors: signed text that marks the row at which a page ended.

A cursor contains the list's name and order, and the sort values of a row, signed with HMAC-SHA256. It is not secret:
its content was on the page it came from.
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
    """Sign and read cursors. `key` is called when the first cursor is signed; without it, a random key is made, and
    cursors are valid within this process only.
    """

    def __init__(self, key: Callable[[], str] = _process_key) -> None:
        self._key = key

    def write(self, order: str, values: list[Any]) -> str:
        """Return the cursor for the row with these sort values."""
        payload = dumps([order, values]).encode()
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode().rstrip("=")

    def read(self, order: str, cursor: str) -> list[Any]:
        """Return the sort values. Raises `InvalidCursor` for a wrong signature or another list's or order's cursor."""
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
