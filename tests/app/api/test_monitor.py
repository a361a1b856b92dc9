"""`/metrics`, `/monitor` and the feed."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app.api.monitor import monitor_feed
from containers import Container, running
from settings import Settings
from tests.app.api.conftest import SignIn

CANARY = "c4n4ry"
pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def value_of(exposition: str, name: str, **labels: str) -> float:
    """The one sample of that name and those labels."""
    (value,) = [
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return value


async def test_metrics_count_statements_and_hold_no_value(client: httpx2.AsyncClient, container: Container) -> None:
    async with container.session_provider()(read_only=True) as session:
        await session.execute(text(f"SELECT id FROM users WHERE email = '{CANARY}'"))
    answer = await client.get("/metrics", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert value_of(answer.text, "gatehouse_sql_statements_total", kind="SELECT users", outcome="ok") >= 1
    assert value_of(answer.text, "gatehouse_sql_statement_seconds_count", kind="SELECT users") >= 1
    assert value_of(answer.text, "gatehouse_transactions_total", outcome="committed") >= 1
    assert value_of(answer.text, "gatehouse_pool_capacity") == 1
    assert value_of(answer.text, "gatehouse_outbox_waiting") >= 0
    assert CANARY not in answer.text


async def test_metrics_of_processes_that_share_a_folder_are_added_up(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    shared = settings.model_copy(update={"metrics_dir": folder})
    one, other = Container(settings=shared), Container(settings=shared)
    async with running(one):
        async with running(other):
            for container, times in ((one, 2), (other, 3)):
                container.sql_metrics()
                for _ in range(times):
                    await container.user_dao().query().all()
            other.sql_metrics().write()
            both = one.sql_metrics().text().decode()
            assert value_of(both, "gatehouse_sql_statements_total", kind="SELECT users", outcome="ok") == 5
            assert value_of(both, "gatehouse_sql_statement_seconds_count", kind="SELECT users") == 5
            assert value_of(both, "gatehouse_sql_statement_seconds_bucket", kind="SELECT users", le="+Inf") == 5
            assert value_of(both, "gatehouse_pool_capacity") == 2 * one.engine().pool.capacity  # type: ignore[attr-defined]
        for number in folder.glob("gauge_livesum_*"):
            # As one that was killed leaves it: what held while it lived holds no more, what it counted does.
            (folder / "gauge_livesum_999999999-0.db").write_bytes(number.read_bytes())
        (folder / "counter_999999999-0.db").write_bytes(next(folder.glob("counter_*")).read_bytes())
        left = one.sql_metrics().text().decode()
        assert value_of(left, "gatehouse_pool_capacity") == one.engine().pool.capacity  # type: ignore[attr-defined]
        assert value_of(left, "gatehouse_sql_statements_total", kind="SELECT users", outcome="ok") > 5


async def test_two_containers_have_metrics_of_their_own(container: Container, settings: Settings) -> None:
    await container.user_dao().query().all()
    async with running(Container(settings=settings)) as other:
        assert b"SELECT users" not in other.sql_metrics().text()
        assert b"SELECT users" in container.sql_metrics().text()


async def test_the_page_is_static_has_no_script_of_its_own_and_loads_from_here_alone(
    client: httpx2.AsyncClient,
) -> None:
    page = await client.get("/monitor", headers={"Authorization": ""})
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script>|<style>|style=|\son\w+=", page.text)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(source.startswith(("monitor/", "data:")) for source in sources)
    for source in sources:
        if source.startswith("monitor/"):
            assert (await client.get(f"/{source}")).status_code == 200, source
    for name in ("uplot.LICENSE", "nothing.js", "..%2Fmonitor.py"):
        assert (await client.get(f"/monitor/{name}")).status_code == 404


async def test_the_feed_and_the_thresholds_are_for_admins(client: httpx2.AsyncClient, sign_in: SignIn) -> None:
    _, ada = await sign_in({"email": "ada@example.com"})
    for method, path in (("GET", "/v1/monitor"), ("GET", "/v1/monitor/feed"), ("PATCH", "/v1/monitor/thresholds")):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        assert (await client.request(method, path, json=body, headers={"Authorization": ""})).status_code == 401
        assert (await client.request(method, path, json=body, headers=ada)).status_code == 403


async def test_the_feed_holds_no_connection_and_ends_when_the_server_is_told_to_stop(container: Container) -> None:
    feed = monitor_feed(container, every=0.05)
    first = (await anext(feed)).data
    assert json.loads(json.dumps(first))["pool"]["in_use"] == 0
    await anext(feed)
    container.lifetime().drain.announce()
    async with asyncio.timeout(2):
        assert [event async for event in feed] == []


async def test_thresholds_are_changed_while_it_runs(client: httpx2.AsyncClient, container: Container) -> None:
    answer = await client.patch("/v1/monitor/thresholds", json={"slow_sql": 0.25, "session_leak": None})
    assert answer.status_code == 200
    assert container.sql_monitor().thresholds.slow_sql == 0.25
    assert container.sql_monitor().thresholds.session_leak is None
    assert container.sql_monitor().thresholds.idle_in_transaction is not None, "what isn't named is left alone"
    for wrong in ({"slow_sql": 0}, {"repeated_sql": 1}, {"slow": 1}):
        assert (await client.patch("/v1/monitor/thresholds", json=wrong)).status_code == 422
