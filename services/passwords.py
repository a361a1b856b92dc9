"""Passwords: hash with argon2id, outside the event loop's thread, never inside a transaction (a hash takes 0.1 s)."""

import base64
import os
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.errors import InvalidPassword
from services.hash_queue import HashQueue

MIN_LENGTH: Final = 8
MAX_BYTES: Final = 1024
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


class Verified(NamedTuple):
    """The result of a check; if the password is right, also the hash to store in place of one with other parameters."""

    right: bool
    renewed: str | None


class HashCosts(Protocol):
    """The cost parameters of a hash. The settings' section implements it."""

    @property
    def time_cost(self) -> int: ...

    @property
    def memory_cost(self) -> int:
        """Memory in KiB."""
        ...

    @property
    def parallelism(self) -> int: ...

    @property
    def threads(self) -> int | None:
        """Number of concurrent hashes, each with `memory_cost`; None for the number of processors less one."""
        ...

    @property
    def max_waiting(self) -> int:
        """Maximum number of hashes that wait for clients."""
        ...


class Passwords:
    """Makes and checks password hashes, with the configured costs. Each waits its turn in one queue (`HashQueue`), and
    may so be refused with `TooBusy` or `ClientGone`.
    """

    def __init__(self, costs: Callable[[], HashCosts]) -> None:
        self._costs = costs
        self._queue = HashQueue(self._threads, lambda: self._costs().max_waiting)

    async def hash(self, password: str) -> str:
        """Return the hash to store. Raises `InvalidPassword`. Call it before a transaction begins."""
        _encoded(password)  # limits the input of normalization, too
        normal = normalised(password)
        if len(normal) < MIN_LENGTH:
            raise InvalidPassword("password", f"is shorter than {MIN_LENGTH} characters")
        encoded = _encoded(normal)
        hasher = _hasher(self._costs())
        return await self._queue.run(lambda: hasher.hash(encoded))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Check a password against a stored hash. None takes the same time and returns False, so that timing doesn't
        reveal whether an account exists. Raises `InvalidPassword` for text that can't be a password.

        A password that normalization changes is also tried as typed, as in older hashes, which are then renewed. The
        number of attempts depends on the password alone.
        """
        spellings = _spellings(password)
        against = self._nobodys() if stored is None else stored
        hasher = _hasher(self._costs())
        right, renewed = await self._queue.run(lambda: _matched(hasher, spellings, against))
        return Verified(right and stored is not None, renewed)

    def _nobodys(self) -> str:
        """Return a hash of no known password, with the current parameters; random instead of computed."""
        salt, digest = (
            base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=") for size in (SALT_BYTES, HASH_BYTES)
        )
        costs = self._costs()
        parameters = f"m={costs.memory_cost},t={costs.time_cost},p={costs.parallelism}"
        return f"$argon2id$v=19${parameters}${salt}${digest}"

    def _threads(self) -> int:
        return self._costs().threads or max(1, (os.cpu_count() or 1) - 1)


def _hasher(costs: HashCosts) -> PasswordHash:
    """Create a hasher. It is cheap: only hashing takes long."""
    argon2id = Argon2Hasher(costs.time_cost, costs.memory_cost, costs.parallelism, HASH_BYTES, SALT_BYTES)
    return PasswordHash((argon2id,))


def _matched(hasher: PasswordHash, spellings: Sequence[bytes], stored: str) -> tuple[bool, str | None]:
    """Return (True if one of the spellings matches, the hash to store instead if the stored one is outdated)."""
    for encoded in spellings:
        right, renewed = hasher.verify_and_update(encoded, stored)
        if right:
            return True, renewed if encoded == spellings[0] else hasher.hash(spellings[0])
    return False, None


def normalised(password: str) -> str:
    """Normalize a password by RFC 8265's OpaqueString (non-ASCII spaces become U+0020, nothing else is mapped or
    removed), with NFKC in place of NFC (docs/decisions/0072).
    """
    if password.isascii():
        return password
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFKC", spaced)


def _spellings(password: str) -> Sequence[bytes]:
    """Return the texts a stored hash may be made of: the normalized password first, then the typed one if it differs.

    A password that is too long only after normalization can only match an older hash.
    """
    typed = _encoded(password)
    try:
        normal = _encoded(normalised(password))
    except InvalidPassword:
        return (typed,)
    return (normal,) if normal == typed else (normal, typed)


def _encoded(password: str) -> bytes:
    """Encode as UTF-8. Raises `InvalidPassword`, so that the length of hashed input is bounded."""
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        raise InvalidPassword("password", "holds half a surrogate pair, which can't be stored") from None
    if len(encoded) > MAX_BYTES:
        raise InvalidPassword("password", f"is longer than {MAX_BYTES} bytes")
    return encoded
