"""A node's lease is renewed by a timer, whatever the database does meanwhile."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from settings import Settings
from tests.database.test_leased_ids import add, change, leases, over
from tests.patience import until
from unitwork.errors import NodeLeaseLost
from unitwork.ids import node_leases

pytestmark = pytest.mark.database("own")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Of a process that leases its node."""
    return settings.model_copy(update={"node_id": None})


async def test_it_is_renewed_by_a_timer(settings: Settings) -> None:
    async with over(settings, renew_every=0.05) as container:
        await add(container)
        (before,) = await leases(container)

        async def renewed() -> bool:
            return bool((await leases(container))[0]["expires_at"] > before["expires_at"])

        await until(renewed, within=10)
        (after,) = await leases(container)
        assert after["holder"] == before["holder"]
        assert after["used_until"] > before["used_until"]


async def test_a_lease_that_another_process_took_is_noticed(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with over(settings, renew_every=0.05) as container:
        await add(container)
        await change(container, holder="somebody else")
        await until(lambda: not container.id_generator().ready, within=10)
        with pytest.raises(NodeLeaseLost, match="another process took it"):
            container.id_generator().next_id()
        await add(container, "bob@example.com")
        holders = {row["holder"] for row in await leases(container)}
        assert len(holders) == 2
        assert "somebody else" in holders
    assert "was lost" in caplog.text


async def test_a_database_that_hangs_at_a_renewal_costs_nothing_until_the_lease_is_overdue(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with over(settings, renew_every=0.05) as container:
        await add(container)
        asked = 0

        async def hang(*_: Any, **__: Any) -> bool:
            nonlocal asked
            asked += 1
            await asyncio.sleep(60)
            return True

        monkeypatch.setattr(node_leases, "renew", hang)
        await until(lambda: asked >= 3, within=10)
        await add(container, "bob@example.com")
    assert "could not be renewed: TimeoutError" in caplog.text


async def test_a_renewal_that_fails_is_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with over(settings, renew_every=0.02) as container:
        await add(container)
        real: Callable[..., Any] = node_leases.renew
        asked, before = 0, None

        async def fail_twice(*arguments: Any, **options: Any) -> bool:
            nonlocal asked, before
            asked += 1
            if asked <= 2:
                raise OperationalError("UPDATE", {}, OSError())
            if before is None:
                before = (await leases(container))[0]["expires_at"]
            return bool(await real(*arguments, **options))

        monkeypatch.setattr(node_leases, "renew", fail_twice)

        async def renewed() -> bool:
            return before is not None and (await leases(container))[0]["expires_at"] > before

        await until(renewed, within=10)


async def test_no_secret_and_no_holder_is_logged(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with over(settings, renew_every=0.02) as container:
        await add(container)
        (lease,) = await leases(container)
        await asyncio.sleep(0.1)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("gatehouse")]
    assert not [line for line in ours if lease["holder"] in line]
