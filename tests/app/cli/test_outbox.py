"""`gatehouse outbox`: what isn't done, why, once more, and to the broker."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containers import Container
from domain import Job
from tests.app.cli.conftest import Done, Gatehouse
from tests.services.messages import welcomed
from unitwork.models import SYSTEM, acting_as
from unitwork.models.utc_datetime import utc_now


async def test_messages_are_listed_with_the_reason_and_tried_again(gatehouse: Gatehouse, container: Container) -> None:
    await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    with acting_as(SYSTEM):
        now = utc_now()
        await container.outbox_dao().begin(message.id, at=now, until=now, holder=1)
        await container.outbox_dao().failed(message.id, at=now, due_at=now, error="TypeError", park=True)
    listed = _in_thread(gatehouse, "outbox", "list", "--json").json()
    assert (listed["waiting"], listed["parked"]) == (0, 1)
    assert [item["why"] for item in listed["items"]] == ["parked after once begun: TypeError"]
    assert _in_thread(gatehouse, "outbox", "list", "--waiting", "--json").json()["items"] == []
    table = _in_thread(gatehouse, "outbox", "list", "--parked")
    assert "parked after once begun: TypeError" in table.out
    assert "tried again: 1" in _in_thread(gatehouse, "outbox", "retry", str(message.id)).err
    assert "tried again: 0" in _in_thread(gatehouse, "outbox", "retry", "--parked").err
    _in_thread(gatehouse, "outbox", "retry", "1").assert_error(1, "no message with id 1 waits")
    _in_thread(gatehouse, "outbox", "retry").assert_error(2, "--parked")


async def test_a_message_is_shown_and_discarded(gatehouse: Gatehouse, container: Container) -> None:
    await welcomed(container)
    (message,) = (await container.outbox_service().list()).items
    shown = _in_thread(gatehouse, "outbox", "show", str(message.id), "--json").json()
    assert (shown["topic"], shown["payload"], shown["parked_at"]) == (message.topic, message.payload, None)
    assert shown["why"] == "published by no relay yet"
    assert "user.registered" in _in_thread(gatehouse, "outbox", "show", str(message.id)).out
    assert "tried again: 0" in _in_thread(gatehouse, "outbox", "retry", "--parked", "--topic", "a.topic").err
    _in_thread(gatehouse, "outbox", "retry", str(message.id), "--topic", "a.topic").assert_error(2, "--topic")
    assert "discarded: user.registered" in _in_thread(gatehouse, "outbox", "discard", str(message.id)).err
    assert (await container.outbox_service().list()).items == []
    for command in ("show", "discard"):
        _in_thread(gatehouse, "outbox", command, str(message.id)).assert_error(1, "waits: it is done, or there never")


async def test_jobs_are_listed_and_cancelled(gatehouse: Gatehouse, container: Container) -> None:
    with acting_as(SYSTEM):
        job = await container.job_dao().add(Job(kind="users.import", progress={"rows": 7}))
    listed = _in_thread(gatehouse, "jobs", "list", "--unfinished", "--json").json()
    assert [(item["id"], item["status"], item["rows"]) for item in listed["items"]] == [(str(job.id), "waiting", 7)]
    assert "failed: cancelled by an operator" in _in_thread(gatehouse, "jobs", "cancel", str(job.id)).err
    assert _in_thread(gatehouse, "jobs", "list", "--unfinished", "--json").json()["items"] == []
    assert "cancelled by an operator" in _in_thread(gatehouse, "jobs", "list").out
    _in_thread(gatehouse, "jobs", "cancel", "1").assert_error(1, "job")


async def test_what_is_due_is_taken_to_the_embedded_broker(
    gatehouse: Gatehouse, container: Container, tmp_path: Path
) -> None:
    await welcomed(container)
    assert "relayed: 1" in _in_thread(gatehouse, "outbox", "relay", "--once").err
    (message,) = (await container.outbox_service().list()).items
    with sqlite3.connect(tmp_path / "broker.db") as broker:
        (payload,) = broker.execute("SELECT payload FROM kombu_message").fetchone()
    broker.close()
    assert str(message.id) in payload
    assert "ada@example.com" not in payload
    assert "relayed: 0" in _in_thread(gatehouse, "outbox", "relay", "--once").err


async def test_a_topic_has_a_queue_and_time_limits_of_its_own(
    gatehouse: Gatehouse, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = {"queue": "imports", "soft_time_limit": 900, "hard_time_limit": 1000}
    monkeypatch.setenv("GATEHOUSE_OUTBOX__TOPICS", json.dumps({"an.import": topic}))
    await welcomed(container)
    with acting_as(SYSTEM):
        async with container.transaction()():
            await container.outbox_service().append("an.import", {})
    assert "relayed: 2" in _in_thread(gatehouse, "outbox", "relay", "--once").err
    with sqlite3.connect(tmp_path / "broker.db") as broker:
        stored = "SELECT q.name, m.payload FROM kombu_message m JOIN kombu_queue q ON q.id = m.queue_id"
        queued = {name: json.loads(payload)["headers"]["timelimit"] for name, payload in broker.execute(stored)}
    broker.close()
    assert queued == {"gatehouse": [None, None], "imports": [1005.0, 900.0]}


async def test_a_broker_that_cannot_be_reached_is_named(
    gatehouse: Gatehouse, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEHOUSE_WORKER__BROKER_URL", "redis://:canary@127.0.0.1:1/0")
    await welcomed(container)
    failed = _in_thread(gatehouse, "outbox", "relay", "--once")
    failed.assert_error(1, "the broker can't be reached")
    assert "canary" not in failed.err


def _in_thread(gatehouse: Gatehouse, *arguments: str) -> Done:
    """A command runs a loop of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(gatehouse, *arguments).result(60)
