"""The site of `make docs`: how it is built, and what its pages load."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

NEEDED: Final = ("material", "mkdocs", "mkdocstrings_handlers")
MISSING: Final = [name for name in NEEDED if find_spec(name) is None]
where_it_is_built: Final = pytest.mark.skipif(bool(MISSING), reason=f"not installed (make docs): {', '.join(MISSING)}")
LOADS: Final = {
    *(("script", "src"), ("img", "src"), ("img", "srcset"), ("source", "src"), ("source", "srcset"), ("iframe", "src")),
    *(("embed", "src"), ("object", "data"), ("video", "src"), ("video", "poster"), ("audio", "src"), ("track", "src")),
    *(("input", "src"), ("use", "href"), ("image", "href")),
}
"""What a browser fetches without being asked, of which element and attribute; links in `head` besides."""
FETCHED_LINKS: Final = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
ELSEWHERE: Final = re.compile(r"\s*(https?:)?//", flags=re.IGNORECASE)
IN_CSS: Final = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""", flags=re.IGNORECASE)


def build(folder: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def loaded_from_elsewhere(name: str, text: str) -> list[str]:
    """The addresses that a page or a style sheet loads from anybody else's server."""
    if name.endswith(".css"):
        return [address for address in IN_CSS.findall(text) if ELSEWHERE.match(address)]
    page = _Page()
    page.feed(text)
    return [address for address in page.loaded if ELSEWHERE.match(address)]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self._inside_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._inside_style = tag == "style"
        self.loaded += _addresses(tag, given)
        self.loaded += IN_CSS.findall(given.get("style", ""))
        if "mermaid" in given.get("class", "").split():
            self.loaded.append("//: the theme fetches Mermaid for such an element")

    def handle_data(self, data: str) -> None:
        if self._inside_style:
            self.loaded += IN_CSS.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside_style = False


def _addresses(tag: str, given: dict[str, str]) -> Iterator[str]:
    for name, value in given.items():
        if (tag, name.removeprefix("xlink:")) in LOADS:
            yield from (part.strip() for part in value.split(",")) if name == "srcset" else (value,)
    if tag == "link" and FETCHED_LINKS & set(given.get("rel", "").lower().split()):
        yield given.get("href", "")
