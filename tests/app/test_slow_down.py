"""Addresses that are refused again and again are slowed, for as long as they go on."""

from ipaddress import ip_network

import pytest

from app.serving.slow_down import ALLOWED, MAX_ADDRESSES, WEIGHT_OF_LIMIT, WINDOW_SECONDS, Refusals


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(refusals: Refusals, status: int, times: int, address: str = "192.0.2.1") -> bool:
    for _ in range(times):
        refusals.refused(address, status)
    return refusals.slows(address)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 431])
def test_many_refusals_within_the_window_slow_an_address_and_no_other(status: int) -> None:
    clock = Clock()
    refusals = Refusals(clock=clock)
    assert not refused(refusals, status, ALLOWED)
    assert refused(refusals, status, 1)
    assert not refusals.slows("192.0.2.2")
    clock.now += WINDOW_SECONDS
    assert not refusals.slows("192.0.2.1")
    assert not refused(refusals, status, ALLOWED)


def test_who_was_told_to_wait_is_slowed_sooner() -> None:
    assert not refused(Refusals(), 429, ALLOWED // WEIGHT_OF_LIMIT)
    assert refused(Refusals(), 429, ALLOWED // WEIGHT_OF_LIMIT + 1)


@pytest.mark.parametrize("status", [200, 204, 304, 500, 503])
def test_other_answers_slow_nobody(status: int) -> None:
    assert not refused(Refusals(), status, 10 * ALLOWED)


def test_a_proxy_that_is_trusted_is_never_slowed() -> None:
    refusals = Refusals([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert not refused(refusals, 429, ALLOWED, "10.1.2.3")
    assert not refused(refusals, 429, ALLOWED, "fd00::1")
    assert refused(refusals, 429, ALLOWED, "192.0.2.1")
    assert refused(refusals, 429, ALLOWED, "no address")


def test_the_number_of_addresses_is_bounded() -> None:
    refusals = Refusals()
    for number in range(MAX_ADDRESSES + 10):
        refusals.refused(f"address {number}", 404)
    assert len(refusals._counted) == MAX_ADDRESSES
