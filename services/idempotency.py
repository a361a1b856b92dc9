"""Idempotency: execute a request once for each key, and repeat its answer."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from domain.client_address import current_client_address
from domain.errors import IdempotencyKeyReused
from domain.idempotency_key import IdempotencyKey
from repositories.idempotency_dao import IdempotencyDao
from unitwork import TransactionProvider
from unitwork.errors import NotFound, UniqueViolation
from unitwork.models import SYSTEM, acting_user_id, utc_now

KEPT: Final = timedelta(hours=24)
"""Time for which a stored answer is repeated."""
TRIES: Final = 3

P = TypeVar("P")
Answer = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """The identity of a request: its key, its target (`"POST /v1/users"`), and its body."""

    key: str
    target: str
    body: bytes


class InFlight:
    """Claims in progress in this process. Requests with the same claim queue here before they take a connection."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, scope: str) -> AsyncIterator[None]:
        """Wait for the turn of this scope, in order of arrival."""
        lock = self._locks.setdefault(scope, asyncio.Lock())
        async with lock:
            yield


class Idempotency:
    """Stores an answer in the transaction of its work, so that both exist or neither."""

    def __init__(
        self,
        transaction: TransactionProvider,
        keys: IdempotencyDao,
        in_flight: InFlight,
        signing_key: Callable[[], str],
    ) -> None:
        self._transaction = transaction
        self._in_flight = in_flight
        self._keys = keys
        self._signing_key = signing_key

    async def once(
        self,
        claim: Claim | None,
        prepare: Callable[[], Awaitable[P]],
        work: Callable[[P], Awaitable[Answer]],
    ) -> Answer:
        """Return the answer of `work`, or the stored answer of the same claim.

        `prepare` runs before the transaction; `work` joins it and returns what JSON can represent. Without a claim, the
        work is executed unconditionally. A concurrent request with the same claim waits. Raises `IdempotencyKeyReused`
        for a key with another body, and what `prepare` and `work` raise: then nothing is stored.
        """
        if claim is None:
            return await work(await prepare())
        scope, digest = self._scope(claim), self._digest(claim)
        async with self._in_flight.turn(scope):
            return await self._once(scope, digest, prepare, work)

    async def _once(
        self, scope: str, digest: str, prepare: Callable[[], Awaitable[P]], work: Callable[[P], Awaitable[Answer]]
    ) -> Answer:
        stored = await self._keys.of_scope(scope)
        if stored is not None and not _expired(stored):
            return _answer_of(stored, digest)
        prepared = await prepare()
        for attempt in range(TRIES):
            try:
                return await self._claimed(scope, digest, stored, lambda: work(prepared))
            except UniqueViolation as violation:
                if not _ours(violation) or attempt == TRIES - 1:
                    raise
            stored = await self._keys.of_scope(scope)  # another process was faster and has committed
            if stored is not None and not _expired(stored):
                return _answer_of(stored, digest)
        raise AssertionError

    async def _claimed(
        self, scope: str, digest: str, expired: IdempotencyKey | None, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        async with self._transaction(name="idempotent request"):
            if expired is not None:
                with suppress(NotFound):
                    await self._keys.purge(expired.id)
            row = await self._keys.add(IdempotencyKey(scope=scope, request_digest=digest))
            answer = await work()
            row.answer = answer
            row.record_id = _record_of(answer)
        return answer

    def _scope(self, claim: Claim) -> str:
        user_id = acting_user_id()
        caller = f"anyone at {current_client_address()}" if user_id == SYSTEM else str(user_id)
        parts = (caller, claim.target, claim.key)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _digest(self, claim: Claim) -> str:
        return hmac.digest(self._signing_key().encode(), claim.body, "sha256").hex()


def _expired(stored: IdempotencyKey) -> bool:
    return utc_now() - stored.created_at >= KEPT


def _answer_of(stored: IdempotencyKey, digest: str) -> Answer:
    if not hmac.compare_digest(stored.request_digest, digest):
        raise IdempotencyKeyReused
    return stored.answer


def _record_of(answer: Answer) -> int | None:
    """Return the id in the answer's body: purging that record deletes the answer."""
    body = answer.get("body")
    named = str(body.get("id", "")) if isinstance(body, dict) else ""
    return int(named) if named.isascii() and named.isdecimal() else None


def _ours(violation: UniqueViolation) -> bool:
    return "scope" in violation.columns or violation.constraint == "uq_idempotency_keys_scope"
