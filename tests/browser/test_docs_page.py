"""`/docs` in a real browser, under its own policy and without anybody else's server: at the root and below a path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import browser, in_a_browser, quiet_page
from tests.flows.server import GATEHOUSE, command, json_of, server_process, until_listening
from unitwork.testing.servers.databases import Databases

pytestmark = in_a_browser
MOUNTED = ("-m", "tests.browser.mounted_application")
ADMIN = "admin@example.com"


@pytest.fixture(params=["", "/accounts"])
def served(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of the API, and an admin's token."""
    url = databases.create("sqlite")
    variables = {"DATABASE_URL": url, "GATEHOUSE_VAR_DIR": str(tmp_path)}
    assert command("users", "create", "--email", ADMIN, "--role", "admin", **variables).returncode == 0
    token = json_of("tokens", "issue", ADMIN, **variables)["access_token"]
    program = MOUNTED if request.param else GATEHOUSE
    with server_process(tmp_path, program=program, **variables) as server:
        until_listening(server.address)
        yield f"{server.address}{request.param}", token


def test_a_person_reads_what_there_is_and_tries_it_out(served: tuple[str, str]) -> None:
    address, token = served
    with browser() as opened, quiet_page(opened, address) as page:
        page.goto(f"{address}/docs")
        page.wait_for_selector("#swagger-ui .opblock", timeout=40_000)
        assert page.locator("#swagger-ui .opblock").count() >= 20
        assert "Gatehouse" in page.inner_text("#swagger-ui .info")
        styled = page.evaluate("getComputedStyle(document.querySelector('.opblock-summary-method')).fontWeight")
        assert int(styled) >= 600, "the style sheet is in force"

        page.click("#swagger-ui .authorize")
        page.fill("#swagger-ui .auth-container input", token)
        page.click("#swagger-ui .auth-btn-wrapper .authorize")
        page.click("#swagger-ui .auth-btn-wrapper .btn-done")
        me = page.locator("#swagger-ui .opblock-get", has_text="/v1/users/me").first
        me.locator(".opblock-summary-control").click()
        me.locator(".try-out__btn").click()
        me.locator(".execute").click()
        answer = me.locator(".live-responses-table")
        answer.wait_for(timeout=20_000)
        told = answer.inner_text()
        assert "200" in told
        assert ADMIN in told
