"""The live page in a real browser: it shows what happens, as it happens, and no value.

Runs where a Chromium and playwright are (`make browser` brings playwright), else says what is missing. With
`GATEHOUSE_TEST_PICTURES` set to a folder it leaves pictures of the page there.
"""

import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import browser, in_a_browser, quiet_page, until
from tests.browser.planted_application import CANARY
from tests.flows.server import command, json_of, server_process, until_listening
from unitwork.testing.servers.databases import Databases

pytestmark = in_a_browser
PROGRAM = ("-m", "tests.browser.planted_application")
ADMIN = "admin@example.com"


class Served:
    """A server whose sessions misbehave on demand."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.token = token

    def plant(self, what: str) -> None:
        urllib.request.urlopen(
            urllib.request.Request(f"{self.address}/plant/{what}", method="POST"), timeout=20
        ).close()

    def text(self, path: str) -> str:
        asked = urllib.request.Request(self.address + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return str(answer.read().decode())


@pytest.fixture
def served(databases: Databases, tmp_path: Path) -> Iterator[Served]:
    url = databases.create("sqlite")
    variables = {"DATABASE_URL": url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    assert command("users", "create", "--email", ADMIN, "--role", "admin", **variables).returncode == 0
    token = json_of("tokens", "issue", ADMIN, **variables)["access_token"]
    thresholds = {
        "GATEHOUSE_DATABASE__SLOW_SQL_THRESHOLD": "0.2",
        "GATEHOUSE_DATABASE__SESSION_LEAK_THRESHOLD": "0.8",
        "GATEHOUSE_DATABASE__DRAIN_TIMEOUT": "1",
    }
    with server_process(tmp_path, program=PROGRAM, **variables, **thresholds) as server:
        until_listening(server.address)
        yield Served(server.address, token)
        assert CANARY not in server.err.read_text()


@contextmanager
def page_of(served: Served, **options: Any) -> Iterator[Any]:
    """The page, with the token given; nothing may be written to its console, and nothing fetched from elsewhere."""
    with browser() as opened, quiet_page(opened, served.address, **options) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{served.address}/monitor")
        page.fill("#token", served.token)
        page.click("#enter button")
        page.wait_for_selector("#status[data-state=on]", timeout=40_000)
        yield page
        assert not [url for url in asked if served.token in url]


def test_a_planted_slow_query_a_leak_and_a_repetition_appear_while_counters_move(served: Served) -> None:
    with page_of(served) as page:
        before = page.inner_text("#statements-total")
        served.plant("slow")
        until(page, "document.querySelector('#slow li[data-kind=slow_sql]')")
        assert "WITH RECURSIVE numbers(n)" in page.inner_text("#slow")
        assert "tests/browser/planted_application.py:" in page.inner_text("#slow")
        served.plant("leak")
        until(page, "document.querySelector('#trouble li[data-kind=session_leak][data-open]')")
        assert "tests/browser/planted_application.py:" in page.inner_text("#trouble")
        until(page, "document.querySelector('#open tbody tr[data-bad]')")
        served.plant("repeat")
        until(page, "document.querySelector('#repeated li[data-kind=repeated_sql]')")
        assert "12 times" in page.inner_text("#repeated")
        until(page, f"document.querySelector('#statements-total').textContent !== {json.dumps(before)}")
        assert page.locator(".chart canvas").count() == 3
        assert CANARY not in page.content()
    for path in ("/metrics", "/v1/monitor"):
        assert CANARY not in served.text(path)
    # On a busy machine the slow query may hold its connection for as long as a leak does.
    assert 'gatehouse_findings_total{kind="session_leak"} 0.0' not in served.text("/metrics")


def test_a_token_that_does_not_count_is_asked_for_again(served: Served) -> None:
    with browser() as opened:
        page = opened.new_page()
        page.goto(f"{served.address}/monitor")
        page.fill("#token", "gh_nonsense")
        page.click("#enter button")
        until(page, "document.querySelector('#refused').textContent !== ''")
        assert page.is_visible("#token")
        assert page.is_hidden("#picture")


@pytest.mark.skipif("GATEHOUSE_TEST_PICTURES" not in os.environ, reason="no pictures are asked for")
def test_pictures_of_the_page(served: Served) -> None:
    folder = Path(os.environ["GATEHOUSE_TEST_PICTURES"])
    for what in ("slow", "leak", "repeat"):
        served.plant(what)
    looks: list[tuple[str, dict[str, Any]]] = [
        ("light", {"viewport": {"width": 1180, "height": 1000}, "color_scheme": "light"}),
        ("dark", {"viewport": {"width": 1180, "height": 1000}, "color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 1100}, "color_scheme": "light"}),
    ]
    for name, options in looks:
        with page_of(served, **options) as page:
            for number in range(8):
                for _ in range(3 + 5 * (number % 3)):
                    served.text("/v1/users?limit=1")
                served.plant("repeat")
                page.wait_for_timeout(700)
            page.screenshot(path=folder / f"monitor-{name}.png", scale="css")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
