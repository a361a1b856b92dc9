"""KnownNetworks: the networks from which logins of accounts succeeded, in memory, bounded in number."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

REMEMBER_SECONDS: Final = 30 * 24 * 60 * 60
"""Seconds for which a network is known after a login."""
NETWORKS_OF_ONE: Final = 16
"""Maximum number of networks of one account; a further one displaces the oldest."""


class KnownNetworks:
    """Known networks by account, both named by digests. Beyond `max_accounts`, the accounts that logged in longest ago
    are dropped.
    """

    def __init__(self, max_accounts: Callable[[], int]) -> None:
        self._max_accounts = max_accounts
        self._accounts: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()
        """The end of knowledge of each network, by `time.time()`; the oldest first."""

    def add(self, account: str, network: str) -> None:
        """Remember a network from now on."""
        networks = self._accounts.setdefault(account, OrderedDict())
        networks[network] = time.time() + REMEMBER_SECONDS
        networks.move_to_end(network)
        self._accounts.move_to_end(account)
        while len(networks) > NETWORKS_OF_ONE:
            networks.popitem(last=False)
        while len(self._accounts) > self._max_accounts():
            self._accounts.popitem(last=False)

    def has(self, account: str, network: str) -> bool:
        """True when the network is known for the account."""
        networks = self._accounts.get(account)
        return networks is not None and networks.get(network, 0.0) > time.time()

    def forget(self, accounts: Collection[str]) -> None:
        """Forget all networks of these accounts."""
        for account in accounts:
            self._accounts.pop(account, None)
