"""Background work belongs to no request: its lines carry no request id and nobody's name, and no request's limits."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from containers import Container
from domain import User
from settings import Settings
from tests.database.test_leased_ids import change, over
from tests.patience import until
from unitwork import Lane, in_lane, remaining, within
from unitwork.connections.places import claim_in_force
from unitwork.errors import NoActingUser
from unitwork.ids import node_leases
from unitwork.models import acting_as, acting_user_id, bound_request_id, current_request_id

pytestmark = pytest.mark.database("own")


class Lines(logging.Handler):
    """Every line of the library with what its context would tell of it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None, int | None, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            acting: int | None = acting_user_id()
        except NoActingUser:
            acting = None
        limited = remaining() is not None or claim_in_force.get() is not None
        self.found.append((record.getMessage(), current_request_id(), acting, limited))


@contextmanager
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("unitwork")
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


@contextmanager
def a_request() -> Iterator[None]:
    with bound_request_id("strange-1"), acting_as(42), in_lane(Lane("route"), wait=1.0), within(30.0):
        yield


async def test_a_leak_is_reported_by_nobodys_request(container: Container) -> None:
    container.sql_monitor().thresholds.session_leak = 0.2
    with lines() as heard:
        with a_request():  # the request in which the watch begins
            await container.user_dao().query().eq("id", 1).one_or_none()
            async with container.session_provider()(read_only=True) as session:
                await session.execute(text("SELECT 1"))
                await until(lambda: any("held" in line or "leak" in line for line, *_ in heard.found), within=10)
        leaks = [found for found in heard.found if "slow" not in found[0]]
    assert leaks
    assert {(request, acting, limited) for _, request, acting, limited in leaks} == {(None, None, False)}


async def test_a_lease_is_renewed_in_nobodys_request(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str | None, bool]] = []
    renew = node_leases.renew

    async def noted(*arguments: object, **options: object) -> bool:
        asked.append((current_request_id(), remaining() is not None or claim_in_force.get() is not None))
        return await renew(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(node_leases, "renew", noted)
    leased = settings.model_copy(update={"node_id": None})
    async with over(leased, renew_every=0.05) as container:
        with lines() as heard:
            with a_request():
                await container.user_dao().add(User(email="a@example.com", email_key="a@example.com"))
            await until(lambda: len(asked) >= 2, within=10)
            await change(container, holder="somebody else")
            await until(lambda: not container.id_generator().ready, within=10)
            await asyncio.sleep(0)
    assert set(asked) == {(None, False)}
    lost = [found[1:] for found in heard.found if "lost" in found[0]]
    assert lost == [(None, None, False)]
