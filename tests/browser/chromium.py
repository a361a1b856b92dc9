"""The system's Chromium, driven by playwright (`make browser` brings that), where both are there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import pytest

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING: Final = [
    name
    for name, there in (("Chromium", CHROMIUM), ("playwright (make browser)", find_spec("playwright")))
    if not there
]
in_a_browser: Final = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.timeout(300),
]
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def browser() -> Iterator[Any]:
    playwright = import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def quiet_page(opened: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page that may write nothing to its console, which a breach of its policy does, and ask nobody else's server."""
    said: list[str] = []
    page = opened.new_context(**options).new_page()
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else said.append(asked.url))
    yield page
    assert said == []


def until(page: Any, says: str) -> None:
    """Wait for it. Asked from outside, as the page's policy lets nothing be evaluated in it."""
    for _ in range(400):
        if page.evaluate(f"Boolean({says})"):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never: {says}")
