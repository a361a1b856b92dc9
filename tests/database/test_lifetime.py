"""Lifetime: opened once, closed once, whatever fails."""

from collections.abc import Awaitable, Callable

import pytest

from unitwork.connections.lifetime import Lifetime
from unitwork.errors import ContainerClosed, EngineNotStarted


def noting(log: list[str], name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        log.append(name)
        if error is not None:
            raise error

    return close


def noted(log: list[str], name: str) -> Callable[[], None]:
    return lambda: log.append(name)


async def test_last_opened_is_first_closed() -> None:
    """Trap 23."""
    log: list[str] = []
    lifetime = Lifetime()
    lifetime.enter()
    for name in ("first", "second", "third"):
        lifetime.on_close(noting(log, name))
    await lifetime.leave(noted(log, "forgotten"))
    assert log == ["forgotten", "third", "second", "first"]


async def test_only_the_outermost_leave_closes() -> None:
    log: list[str] = []
    lifetime = Lifetime()
    lifetime.enter()
    lifetime.enter()
    lifetime.on_close(noting(log, "closed"))
    await lifetime.leave(noted(log, "forgotten"))
    lifetime.require_open()
    assert log == []
    await lifetime.leave(noted(log, "forgotten"))
    assert log == ["forgotten", "closed"]


async def test_what_fails_to_close_stops_nothing_else() -> None:
    log: list[str] = []
    lifetime = Lifetime()
    lifetime.enter()
    lifetime.on_close(noting(log, "first"))
    lifetime.on_close(noting(log, "second", ZeroDivisionError()))
    lifetime.on_close(noting(log, "third"))
    with pytest.raises(ZeroDivisionError):
        await lifetime.leave(noted(log, "forgotten"))
    assert log == ["forgotten", "third", "second", "first"]
    with pytest.raises(ContainerClosed):
        lifetime.enter()


async def test_the_gate_is_shut_before_and_after() -> None:
    lifetime = Lifetime()
    with pytest.raises(EngineNotStarted, match=r"async with running\(container\)"):
        lifetime.require_open()
    lifetime.enter()
    lifetime.require_open()
    await lifetime.leave(noted([], "forgotten"))
    for gate in (lifetime.require_open, lifetime.enter):
        with pytest.raises(ContainerClosed, match="Build a new one"):
            gate()
