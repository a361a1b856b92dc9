"""A broker that refuses: one clear line at start, and patience of a relay that runs."""

import asyncio
import os

import pytest

from containers import Container, running
from services.messaging.publisher import BrokerRefused
from tests.app.cli.conftest import Gatehouse
from tests.services.messages import welcomed
from unitwork.models import SYSTEM, acting_as

pytestmark = pytest.mark.database("own")

RABBITMQ = os.environ.get("GATEHOUSE_TEST_RABBITMQ_URL", "")


@pytest.mark.skipif(not RABBITMQ, reason="GATEHOUSE_TEST_RABBITMQ_URL names no rabbitmq")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", [("guest:guest@", "guest:canary@"), ("5672//", "5672/no-such-vhost")])
async def test_a_rabbitmq_that_refuses_is_waited_for_by_a_relay_and_the_end_of_what_starts(
    container: Container, gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    monkeypatch.setenv("GATEHOUSE_WORKER__BROKER_URL", RABBITMQ.replace(*change))
    for command in (("worker",), ("outbox", "relay")):
        ended = await asyncio.to_thread(gatehouse, *command)
        ended.assert_error(1, "the broker refuses this user, its permissions or its virtual host")
        assert "canary" not in ended.err
        assert len(ended.err.splitlines()) == 1
    await welcomed(container)
    worker_settings = container.settings().worker.model_validate({"broker_url": RABBITMQ.replace(*change)})
    refused = container.settings().model_copy(update={"worker": worker_settings})
    async with running(Container(settings=refused)) as client:
        with acting_as(SYSTEM):
            with pytest.raises(BrokerRefused):
                await client.outbox_relay().relay()
            relay = asyncio.create_task(client.outbox_relay().run())
            await asyncio.sleep(0.5)
            assert not relay.done(), "a relay that runs waits for an operator"
            relay.cancel()
            await asyncio.wait((relay,))
