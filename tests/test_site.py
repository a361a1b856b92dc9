"""`make docs`: the site is built without a warning, is whole, and loads nothing from elsewhere."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import unitwork
from tests.conftest import ROOT
from tests.site import build, loaded_from_elsewhere, where_it_is_built
from unitwork import audit, dao, errors, models, monitor, testing
from unitwork.testing import fakes

FACADES: Final = (unitwork, audit, dao, errors, models, monitor, testing, fakes)
GUIDES: Final = sorted((*(ROOT / "docs" / "guides").glob("*.md"), *(ROOT / "packages/unitwork/docs").glob("*.md")))


def navigation() -> list[str]:
    def pages(entry: Any) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for one in (entry.values() if isinstance(entry, dict) else entry) for page in pages(one)]

    _, _, nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")
    return pages(yaml.safe_load(f"nav:{nav}"))


def test_every_guide_is_in_the_navigation_once() -> None:
    named = navigation()
    assert len(named) == len(set(named))
    assert {guide.relative_to(ROOT).as_posix() for guide in GUIDES} <= set(named)


@where_it_is_built
@pytest.mark.timeout(300)
def test_the_site_is_whole_and_no_page_loads_anything_from_elsewhere(tmp_path: Path) -> None:
    build(tmp_path)
    assets = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".css"}]
    assert len(assets) > 100
    found = {
        path.relative_to(tmp_path).as_posix(): elsewhere
        for path in assets
        if (elsewhere := loaded_from_elsewhere(path.name, path.read_text(encoding="utf-8")))
    }
    assert found == {}
    for facade in FACADES:
        page = tmp_path / "packages" / "unitwork" / "reference" / facade.__name__ / "index.html"
        headings = set(re.findall(r'<h\d id="([^"]+)"', page.read_text(encoding="utf-8")))
        shown = {heading.rpartition(".")[2] for heading in headings}
        assert set(facade.__all__) - shown == set(), f"{facade.__name__} has names without a docstring"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<script src="//cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="https://fonts.example/css">'),
        ("a.html", '<link href="https://fonts.example" rel="preconnect">'),
        ("a.html", '<img srcset="x.png 1x, https://cdn.example/y.png 2x">'),
        ("a.html", "<style>body { background: url('https://cdn.example/x.png') }</style>"),
        ("a.html", '<p style="background: url(HTTP://cdn.example/x.png)">x</p>'),
        ("a.html", '<pre class="mermaid"><code>flowchart TD</code></pre>'),
        ("a.css", '@import "https://fonts.example/css";'),
        ("a.css", "@font-face { src: url(https://fonts.example/x.woff2) }"),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(name: str, text: str) -> None:
    assert len(loaded_from_elsewhere(name, text)) == 1


def test_what_a_page_links_to_or_has_beside_it_is_no_load() -> None:
    page = '<a href="https://example.com">x</a><script src="../a.js"></script><link rel="canonical" href="https://x.example/">'
    assert loaded_from_elsewhere("a.html", page) == []
