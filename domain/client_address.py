"""Client address: the address that a request comes from, in a context variable that the entrypoint binds."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address
from typing import Final

HOST_BITS: Final = 64
"""Bits of an IPv6 address that a client chooses: the smallest network that is given out is a /64."""

_client_address: ContextVar[str | None] = ContextVar("client_address", default=None)


@contextmanager
def bound_client_address(address: str | None) -> Iterator[None]:
    """Bind the client's address for the length of the block; None for work without a client."""
    token = _client_address.set(address)
    try:
        yield
    finally:
        _client_address.reset(token)


def current_client_address() -> str | None:
    """Return the client's address; None outside requests."""
    return _client_address.get()


def network_of(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address as it is, also when IPv6 maps it, and an IPv6
    address's /64 without its scope. Text that is no address is returned as it is.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> HOST_BITS << HOST_BITS)}/{HOST_BITS}"
