"""Passwords: hashed with argon2id, off the event loop, never inside a transaction (a hash takes 0.1 s)."""

import base64
import os
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import anyio
import anyio.to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from domain.errors import InvalidPassword

T = TypeVar("T")
MIN_LENGTH: Final = 8
MAX_BYTES: Final = 1024
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


class Verified(NamedTuple):
    """Whether a password is right; and, when it is, the hash to store in place of one with other parameters."""

    right: bool
    renewed: str | None


class HashCosts(Protocol):
    """What a hash costs. The settings' section is one."""

    @property
    def time_cost(self) -> int: ...

    @property
    def memory_cost(self) -> int:
        """In KiB."""
        ...

    @property
    def parallelism(self) -> int: ...

    @property
    def threads(self) -> int | None:
        """Hashes at once, each with as much memory: None for one on each processor."""
        ...


class Passwords:
    """Makes and checks the hashes that are stored, at the costs that are in force."""

    def __init__(self, costs: Callable[[], HashCosts]) -> None:
        self._costs = costs
        self._limiters: dict[int, anyio.CapacityLimiter] = {}

    async def hash(self, password: str) -> str:
        """The hash to store. Raises `InvalidPassword`; call it before a transaction begins."""
        _encoded(password)  # before normalising: what is normalised is bounded too
        normal = normalised(password)
        if len(normal) < MIN_LENGTH:
            raise InvalidPassword("password", f"is shorter than {MIN_LENGTH} characters")
        encoded = _encoded(normal)
        hasher = _hasher(self._costs())
        return await self._in_thread(lambda: hasher.hash(encoded))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Check against a stored hash; without one, do the same work and answer no, so that an account that isn't
        there takes as long as one that is. Raises `InvalidPassword` for what no password can be.

        A password that normalising changes is tried as it was typed too, as older hashes were made of that, and is then
        renewed; how often is tried depends on nothing but the password.
        """
        spellings = _spellings(password)
        against = self._nobodys() if stored is None else stored
        hasher = _hasher(self._costs())
        right, renewed = await self._in_thread(lambda: _matched(hasher, spellings, against))
        return Verified(right and stored is not None, renewed)

    def _nobodys(self) -> str:
        """A hash of no known password, with today's parameters: drawn, not computed."""
        salt, digest = (
            base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=") for size in (SALT_BYTES, HASH_BYTES)
        )
        costs = self._costs()
        parameters = f"m={costs.memory_cost},t={costs.time_cost},p={costs.parallelism}"
        return f"$argon2id$v=19${parameters}${salt}${digest}"

    async def _in_thread(self, work: Callable[[], T]) -> T:
        threads = self._costs().threads or os.cpu_count() or 1
        limiter = self._limiters.setdefault(threads, anyio.CapacityLimiter(threads))
        return await anyio.to_thread.run_sync(work, limiter=limiter)


def _hasher(costs: HashCosts) -> PasswordHash:
    """Cheap to make: what takes long is its work."""
    argon2id = Argon2Hasher(costs.time_cost, costs.memory_cost, costs.parallelism, HASH_BYTES, SALT_BYTES)
    return PasswordHash((argon2id,))


def _matched(hasher: PasswordHash, spellings: Sequence[bytes], stored: str) -> tuple[bool, str | None]:
    """Whether one of the spellings is right, and the hash to store instead where the stored one is an older one."""
    for encoded in spellings:
        right, renewed = hasher.verify_and_update(encoded, stored)
        if right:
            return True, renewed if encoded == spellings[0] else hasher.hash(spellings[0])
    return False, None


def normalised(password: str) -> str:
    """One form for each way to enter the same characters: RFC 8265's OpaqueString (blanks beyond ASCII become U+0020,
    nothing else is mapped or removed), with NFKC in place of its NFC (docs/decisions/0072).
    """
    if password.isascii():
        return password
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFKC", spaced)


def _spellings(password: str) -> Sequence[bytes]:
    """What a stored hash may have been made of: the normalised password first, then the typed one where it differs. A
    password that is too long only once it is normalised can but be an older one.
    """
    typed = _encoded(password)
    try:
        normal = _encoded(normalised(password))
    except InvalidPassword:
        return (typed,)
    return (normal,) if normal == typed else (normal, typed)


def _encoded(password: str) -> bytes:
    """Raises `InvalidPassword` before any hashing: the length of what is hashed is bounded."""
    try:
        encoded = password.encode()
    except UnicodeEncodeError:
        raise InvalidPassword("password", "holds half a surrogate pair, which can't be stored") from None
    if len(encoded) > MAX_BYTES:
        raise InvalidPassword("password", f"is longer than {MAX_BYTES} bytes")
    return encoded
