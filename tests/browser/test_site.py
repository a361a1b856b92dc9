"""The site of `make docs` in a real browser: on a desk and on a phone nothing overflows, and search finds."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.chromium import browser, in_a_browser, quiet_page
from tests.site import build, where_it_is_built

pytestmark = [*in_a_browser, where_it_is_built]
WIDTHS = (1280, 390)


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of requests."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window(site: tuple[Path, str], width: int) -> None:
    folder, address = site
    pages = sorted(path.parent.relative_to(folder).as_posix() for path in folder.rglob("index.html"))
    # Records of decisions are alike: one of ten will do. Sources are code alone, which scrolls by itself.
    pages = [page for page in pages if not re.match(r"source/|docs/decisions/\d+[1-9]-", page)]
    wide: dict[str, int] = {}
    with browser() as opened, quiet_page(opened, address, viewport={"width": width, "height": 900}) as page:
        for name in pages:
            page.goto(f"{address}/{name}/", wait_until="domcontentloaded")
            # The body hides what overflows, so each block that doesn't scroll by itself is asked.
            reach = page.evaluate(
                """Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('article *')]
                .filter((one) => !one.closest('pre, .md-typeset__scrollwrap, .highlight') && one.offsetParent)
                .map((one) => Math.ceil(one.getBoundingClientRect().right)))"""
            )
            if reach > width:
                wide[name] = reach
    assert wide == {}


def test_search_finds_a_guide_and_a_name_of_the_reference(site: tuple[Path, str]) -> None:
    _, address = site
    with browser() as opened, quiet_page(opened, address, viewport={"width": 1280, "height": 900}) as page:
        for words, leads_to in (("truth table", "transactions"), ("CommitOutcomeUnknown", "unitwork.errors")):
            page.goto(address)
            page.click(".md-search__input")
            page.type(".md-search__input", words)
            page.wait_for_selector(f".md-search-result__link[href*='{leads_to}']", state="attached", timeout=40_000)
