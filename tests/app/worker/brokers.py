"""The brokers that workers are tested on: the embedded one always, Redis and RabbitMQ where a URL names one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu import Connection

BROKERS = ("embedded", "redis", "rabbitmq")


@contextmanager
def broker_variables(name: str) -> Iterator[dict[str, str]]:
    """What names the broker, and a queue of the test's own, which is gone afterwards."""
    variables = {"GATEHOUSE_WORKER__QUEUE": f"gatehouse_test_{secrets.token_hex(4)}"}
    if name == "embedded":
        yield variables
        return
    url = os.environ.get(f"GATEHOUSE_TEST_{name.upper()}_URL")
    if not url:
        pytest.skip(f"GATEHOUSE_TEST_{name.upper()}_URL names no {name}")
    try:
        yield variables | {"GATEHOUSE_WORKER__BROKER_URL": url}
    finally:
        with Connection(url) as connection:
            channel: Any = connection.default_channel
            channel.queue_delete(variables["GATEHOUSE_WORKER__QUEUE"])
