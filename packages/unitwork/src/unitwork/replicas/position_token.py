"""Position tokens: signed text that tells a client's next request what to read after."""

import base64
import binascii
import hashlib
import hmac
import struct
import time
from collections.abc import Callable
from typing import Final

from unitwork.replicas.position import NOTHING, Position, Told
from unitwork.server_identity import ServerIdentity

LIFETIME_SECONDS: Final = 60
"""Age in seconds after which a token is ignored. Replicas that lag by half of it aren't used (`MAX_LAG_SECONDS`), so
what it names has arrived at every one that is.
"""
SIGNATURE_BYTES: Final = 18
"""With the payload a multiple of three, so that a token has one spelling."""
_PAYLOAD: Final = struct.Struct(">QIQI")
"""System, timeline, LSN, and the Unix time of its writing. Three zeros: everything that was stored by then."""
LENGTH: Final = (SIGNATURE_BYTES + _PAYLOAD.size) // 3 * 4


class PositionTokens:
    """Write and read tokens. `key` is called for each; all processes that serve one client need the same."""

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    def write(self, told: Told) -> str:
        """Return the token."""
        at, position = int(time.time()), None if told.everything else told.position
        payload = _PAYLOAD.pack(0, 0, 0, at)
        if position is not None:
            payload = _PAYLOAD.pack(int(position.server.system), position.server.timeline, position.lsn, at)
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode()

    def read(self, token: str | None) -> Told:
        """Return what a token tells; nothing for one that isn't ours, or is too old."""
        if token is None or len(token) != LENGTH or not token.isascii():
            return NOTHING
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return NOTHING
        signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
        if len(payload) != _PAYLOAD.size or not hmac.compare_digest(signature, self._sign(payload)):
            return NOTHING
        system, timeline, lsn, at = _PAYLOAD.unpack(payload)
        if abs(time.time() - at) > LIFETIME_SECONDS:
            return NOTHING
        if not system:
            return Told(None, everything=True)
        return Told(Position(ServerIdentity(str(system), timeline), lsn))

    def _sign(self, payload: bytes) -> bytes:
        # Named, as the key signs other things too.
        return hmac.digest(self._key().encode(), b"position " + payload, hashlib.sha256)[:SIGNATURE_BYTES]
