"""RateLimits: limit attempts by address, by account, and by account and address together."""

import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Protocol

from limits import RateLimitItem, parse_many
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from domain.client_address import network_of
from domain.errors import TooManyAttempts
from services.attempts import Attempts
from services.known_networks import REMEMBER_SECONDS, KnownNetworks

log = logging.getLogger("gatehouse.rate_limits")

ASK_AGAIN_AFTER: Final = 5.0
"""Seconds to wait before Redis is tried again after a failure."""


class Reached(Protocol):
    """Callback for a reached limit, with its name, the account's id or the contact, and the client's address."""

    async def __call__(self, limit: str, *, user_id: int | None, contact: str | None, address: str | None) -> None: ...


class Shared(Protocol):
    """Counters and known networks that processes share (`services.redis_attempts`). Raises `StorageError`, OSError."""

    @property
    def limiter(self) -> FixedWindowRateLimiter: ...

    async def remember(self, account: str, network: str, seconds: int) -> None: ...

    async def remembers(self, account: str, network: str) -> bool: ...

    async def forget(self, accounts: Collection[str]) -> None: ...


class RateLimits:
    """Counts attempts in Redis if its URL is configured, so that processes share counters; else in memory.

    `rates` maps names to limits; a missing name is unlimited. For a purpose such as `login` they are `login_address`,
    `login_account_address`, and `login_account`. An address counts as its network (`network_of`). An account is named
    by its id, or by a contact in its canonical form (`contact_key`) where no account is known; the two never share a
    counter.

    While Redis fails, each process counts by itself: nobody is locked out, and nobody is unlimited
    (docs/decisions/0040, 0093). Settings are read at each attempt. Counters in memory are kept when settings change;
    those of addresses, accounts, unknown contacts, and accounts by address are bounded separately, so that a flood of
    one kind displaces none of another.
    """

    def __init__(
        self,
        rates: Callable[[], Mapping[str, str]],
        *,
        max_keys: Callable[[], int],
        redis_url: Callable[[], Any],
        on_close: Callable[[], Callable[[Callable[[], Awaitable[Any]]], Any]],
        on_reached: Callable[[], Reached] | None = None,
    ) -> None:
        self._rates = rates
        self._redis_url = redis_url
        self._on_close = on_close
        self._on_reached = on_reached
        self._addresses, self._accounts, self._contacts, self._pairs = (Attempts(max_keys) for _ in range(4))
        self._known = KnownNetworks(max_keys)
        self._servers: dict[str, Shared] = {}
        """Redis connections by URL; those no longer in use are closed with the container."""
        self._ask_at: dict[str, float] = {}
        """Moment of the next attempt after a failure, by URL, by `time.monotonic()`."""

    async def hit_address(self, purpose: str, address: str | None) -> None:
        """Count one attempt of an address; without one there is nothing to count. Raises `TooManyAttempts`; the attempt
        counts nevertheless.
        """
        if address is None:
            return
        name = f"{purpose}_address"
        retry_after = await self._hit_all(self._addresses, name, _digest(network_of(address)), name)
        if retry_after is not None:
            await self._refuse(name, retry_after, address=address)

    async def hit(
        self, purpose: str, *, user_id: int | None = None, contact: str | None = None, address: str | None = None
    ) -> None:
        """Count one attempt on an account, from an address: for both together, then for the account alone.

        What the first refuses isn't counted for the account, so that one network can't use up the attempts of all. A
        network from which a login of the account has succeeded (`remember_login`) is bound by the first alone, if there
        is such a rate. Raises `TooManyAttempts`; the attempt counts nevertheless.
        """
        account, network = _digest(_account(user_id, contact)), _digest(_network(address))
        name = f"{purpose}_account_address"
        own_budget = name in self._rates()
        retry_after = await self._hit_all(self._pairs, name, account, name, network)
        if retry_after is None:
            name = f"{purpose}_account"
            store = self._contacts if user_id is None else self._accounts
            retry_after = await self._hit_all(store, name, account, name)
            if retry_after is not None and own_budget and await self._is_known(account, network):
                return
        if retry_after is not None:
            await self._refuse(name, retry_after, user_id=user_id, contact=contact, address=address)

    async def remember_login(self, user_id: int, address: str | None) -> None:
        """Remember for `REMEMBER_SECONDS` that a login of the account from this address succeeded."""
        account, network = _digest(_account(user_id, None)), _digest(_network(address))
        redis = self._redis()
        if redis is not None:
            try:
                await redis.remember(account, network, REMEMBER_SECONDS)
            except (StorageError, OSError) as error:
                self._failed(error)
            else:
                return
        self._known.add(account, network)

    async def forget(self, user_ids: Collection[int], contacts: Collection[str] = ()) -> None:
        """Forget attempts on these accounts, from any address, and where their logins came from: their persons are
        purged. What other processes hold in memory ends by itself; so does what a Redis holds that doesn't answer.
        """
        names = {*(_account(user_id, None) for user_id in user_ids), *(_account(None, contact) for contact in contacts)}
        accounts = set(map(_digest, names))
        for store in (self._accounts, self._contacts, self._pairs):
            store.forget(accounts)
        self._known.forget(accounts)
        redis = self._redis()
        if redis is not None:
            try:
                await redis.forget(accounts)
            except (StorageError, OSError) as error:
                self._failed(error)

    async def _is_known(self, account: str, network: str) -> bool:
        redis = self._redis()
        if redis is not None:
            try:
                return await redis.remembers(account, network)
            except (StorageError, OSError) as error:
                self._failed(error)
        return self._known.has(account, network)

    async def _hit_all(self, store: Attempts, name: str, *key: str) -> int | None:
        """Count an attempt for each rate of this name; return the seconds to wait, or None if it is within all."""
        limits = self._rates().get(name)
        for rate in () if limits is None else parse_many(limits):
            retry_after = await self._retry_after(store, rate, *key)
            if retry_after is not None:
                return retry_after
        return None

    async def _retry_after(self, store: Attempts, rate: RateLimitItem, *key: str) -> int | None:
        redis = self._redis()
        if redis is not None:
            try:
                return await _hit(redis.limiter, rate, *key)
            except (StorageError, OSError) as error:
                self._failed(error)
        return await _hit(store.limiter, rate, *key)

    async def _refuse(
        self,
        name: str,
        retry_after: int,
        *,
        user_id: int | None = None,
        contact: str | None = None,
        address: str | None = None,
    ) -> None:
        if self._on_reached is not None:
            await self._on_reached()(name, user_id=user_id, contact=contact, address=address)
        raise TooManyAttempts(retry_after)

    def _redis(self) -> Shared | None:
        """Return the configured Redis; None without one, and for a while after it has failed."""
        secret = self._redis_url()
        if secret is None:
            return None
        url = secret.get_secret_value()
        if time.monotonic() < self._ask_at.get(url, 0.0):
            return None
        if url not in self._servers:
            from services import redis_attempts  # noqa: PLC0415 - Redis's client is slow to import

            pool = redis_attempts.redis_pool(url)
            self._on_close()(pool.aclose)
            self._servers[url] = redis_attempts.RedisAttempts(pool)
        return self._servers[url]

    def _failed(self, error: Exception) -> None:
        self._ask_at[self._redis_url().get_secret_value()] = time.monotonic() + ASK_AGAIN_AFTER
        what = type(error.storage_error if isinstance(error, StorageError) else error).__name__
        log.warning("Redis doesn't answer (%s): attempts are counted in memory", what)


def _account(user_id: int | None, contact: str | None) -> str:
    return f"contact:{contact}" if user_id is None else f"id:{user_id}"


def _network(address: str | None) -> str:
    return "" if address is None else network_of(address)


def _digest(whose: str) -> str:
    """Return the key's SHA-256, so that Redis holds no e-mail addresses."""
    return hashlib.sha256(whose.encode("utf-8", "surrogatepass")).hexdigest()


async def _hit(limiter: FixedWindowRateLimiter, rate: RateLimitItem, *key: str) -> int | None:
    if await limiter.hit(rate, *key):
        return None
    ends, _ = await limiter.get_window_stats(rate, *key)
    return max(1, math.ceil(ends - time.time()))
