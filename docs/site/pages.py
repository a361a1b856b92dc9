"""What mkdocs builds the site of: every document at its own place in the repository, so that its links hold there too.

A file or folder that a document links to, and that is no document itself, gets a page that shows it. Each façade of
the library gets a page of its reference.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any, Final

from mkdocs.structure.files import File

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    "*.md",
    "docs/**/*.md",
    "examples/**/*.md",
    "benchmarks/*.md",
    "packages/unitwork/*.md",
    "packages/unitwork/docs/**/*.md",
)
PICTURES: Final = ("docs/pictures/*.png",)
DECISIONS: Final = "docs/decisions"
REFERENCE: Final = "packages/unitwork/reference"
FACADES: Final = (
    "unitwork",
    "unitwork.models",
    "unitwork.audit",
    "unitwork.dao",
    "unitwork.errors",
    "unitwork.monitor",
    "unitwork.testing",
    "unitwork.testing.fakes",
)
LINK: Final = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE: Final = re.compile(r"^(```.*?^```$)", flags=re.MULTILINE | re.DOTALL)
HIDDEN: Final = "---\nsearch:\n  exclude: true\n---\n\n"
LEXERS: Final = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".sql": "sql", ".json": "json"}


def on_config(config: Any) -> Any:
    """Put the reference and the decisions into the navigation."""
    sections: dict[str, list[Any]] = {name: pages for one in config.nav for name, pages in one.items()}
    sections["unitwork"].append({"Reference": [{name: f"{REFERENCE}/{name}.md"} for name in FACADES]})
    records = sorted((ROOT / DECISIONS).glob("[0-9]*.md"))
    sections["Decisions"] += [record.relative_to(ROOT).as_posix() for record in records]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Collect the documents, and make a page of what they link to."""
    documents = [path for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))]
    for path in [*documents, *(path for pattern in PICTURES for path in sorted(ROOT.glob(pattern)))]:
        files.append(File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls))
    for name in FACADES:
        files.append(File.generated(config, f"{REFERENCE}/{name}.md", content=_reference(name)))
    shown: set[str] = set()
    waiting = [
        place for path in documents for place in _places(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]
    while waiting:
        place = waiting.pop()
        if place in shown or _page_of(place) is None:
            continue
        shown.add(place)
        waiting += [one.relative_to(ROOT).as_posix() for one in _listed(ROOT / place)]
        files.append(File.generated(config, _page_of(place), content=_shown(place)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to what is no document lead to the page that shows it."""
    here: str = page.file.src_uri

    def mended(link: re.Match[str]) -> str:
        place = _place(here, link[2])
        target = None if place is None else _page_of(place)
        if target is None:
            return link[0]
        return f"{link[1]}{relpath(target, str(PurePosixPath(here).parent))})"

    # What a fence holds is text; only every other piece is outside of one.
    pieces = FENCE.split(markdown)
    pieces[::2] = [LINK.sub(mended, piece) for piece in pieces[::2]]
    return "".join(pieces)


def _reference(facade: str) -> str:
    """The page of a façade. Where a function has its module's name, the module hides it, and it is named apart."""
    door = ROOT / "packages" / "unitwork" / "src" / Path(*facade.split(".")) / "__init__.py"
    hidden = re.findall(
        rf"^from ({re.escape(facade)}\.(\w+)) import .*\b\2\b", door.read_text("utf-8"), flags=re.MULTILINE
    )
    apart = "".join(f"\n::: {module}.{name}\n    options: {{show_root_heading: true}}\n" for module, name in hidden)
    return f"# {facade}\n\n::: {facade}\n{apart}"


def _places(here: str, text: str) -> Iterator[str]:
    for prose in FENCE.split(text)[::2]:
        for link in LINK.finditer(prose):
            if (place := _place(here, link[2])) is not None:
                yield place


def _place(here: str, target: str) -> str | None:
    """The path in the repository that a document's link leads to; None for an address."""
    if ":" in target or target.startswith("/"):
        return None
    return normpath(f"{PurePosixPath(here).parent}/{target}")


def _page_of(place: str) -> str | None:
    """The page that shows a file or a folder; None where mkdocs has one, or there is nothing to show."""
    path = ROOT / place
    if path.suffix in {".md", ".png"} or not path.exists() or (path / "README.md").is_file():
        return None
    name = place.removeprefix(".")  # mkdocs leaves out names that begin with a dot
    return f"source/{name}/index.md" if path.is_dir() else f"source/{name}.md"


def _listed(path: Path) -> list[Path]:
    return [one for one in sorted(path.iterdir()) if one.suffix == ".py"] if path.is_dir() else []


def _shown(place: str) -> str:
    path = ROOT / place
    if path.is_dir():
        lines = "".join(f"- [{one.name}]({one.name}.md)\n" for one in _listed(path))
        return f"{HIDDEN}# {place}\n\n{lines}"
    language = LEXERS.get(path.suffix, "text")
    return f"{HIDDEN}# {place}\n\n~~~~~~~~ {language}\n{path.read_text('utf-8')}\n~~~~~~~~\n"
