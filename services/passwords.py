"""Passwords: hashed with argon2id, off the event loop, never inside a transaction (a hash takes 0.1 s)."""

from typing import Final

import anyio.to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.errors import InvalidPassword

MIN_LENGTH: Final = 8
MAX_BYTES: Final = 1024


class Passwords:
    """Makes the hashes that are stored."""

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))

    async def hash(self, password: str) -> str:
        """The hash to store. Raises `InvalidPassword`; call it before a transaction begins."""
        if len(password) < MIN_LENGTH:
            raise InvalidPassword("password", f"is shorter than {MIN_LENGTH} characters")
        try:
            encoded = password.encode()
        except UnicodeEncodeError:
            raise InvalidPassword("password", "holds half a surrogate pair, which can't be stored") from None
        if len(encoded) > MAX_BYTES:
            raise InvalidPassword("password", f"is longer than {MAX_BYTES} bytes")
        return await anyio.to_thread.run_sync(self._hasher.hash, encoded)
