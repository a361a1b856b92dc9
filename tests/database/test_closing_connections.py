"""A connection that the pool closes behind a unit is none of that unit's concern."""

import asyncio

import pytest
from sqlalchemy import make_url, text

from containers import Container, running
from settings import Settings
from tests.faults.relay import Relay
from unitwork import Outcome, Transaction


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_unit_whose_overflowing_connection_is_slow_to_close_is_not_cancelled(database_url: str) -> None:
    server = make_url(database_url)
    with Relay(server.host or "127.0.0.1", server.port or 5432) as relay:
        url = server.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
        small = Settings(database={"url": url, "pool_size": 1, "max_overflow": 1, "pool_idle_timeout": 0})
        async with running(Container(settings=small)) as container:
            both = asyncio.Barrier(2)

            async def unit() -> Transaction:
                async with container.transaction()() as tx:
                    await tx.session.execute(text("SELECT 1"))
                    await both.wait()
                    relay.delay = 0.4  # longer than a goodbye may take
                return tx

            for tx in await asyncio.gather(unit(), unit()):
                assert tx.outcome is Outcome.COMMITTED
            relay.delay = 0
