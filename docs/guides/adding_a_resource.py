"""Write what adding-a-resource.md shows into this checkout, for a noun of yours: `adding_a_resource.py invoice`.

Nothing is written where a file is there already, or a line that the guide names isn't.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

GUIDE: Final = Path(__file__).with_name("adding-a-resource.md")
ROOT: Final = GUIDE.parents[2]
BLOCK: Final = re.compile(r"^```python\n# (?P<head>[^\n]+)\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
INSERTION: Final = re.compile(r"in (?P<name>\S+), before: (?P<anchor>.+)")
NOUN: Final = re.compile(r"(?P<initial>[oO])rder(?P<plural>s?)(?!_by\b)(?![a-z])")
"""Order, order, orders, as a word or a part of a name; not `order_by`."""


class CannotFollow(Exception):
    """The checkout isn't as the guide expects; nothing was written."""


def follow(root: Path, singular: str = "order", plural: str = "orders") -> list[str]:
    """Write the guide's blocks below `root`, with another noun. Returns the names of the files, in order."""
    texts: dict[str, str] = {}
    for block in BLOCK.finditer(GUIDE.read_text(encoding="utf-8")):
        head, code = (renamed(block[part], singular, plural) for part in ("head", "code"))
        insertion = INSERTION.fullmatch(head)
        if insertion is None:
            if (root / head).exists():
                msg = f"{head} is there already; take another noun, or remove it"
                raise CannotFollow(msg)
            texts[head] = code
            continue
        name, anchor = insertion["name"], insertion["anchor"]
        if name not in texts:
            texts[name] = (root / name).read_text(encoding="utf-8")
        texts[name] = inserted(texts[name], code, anchor, name)
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    return list(texts)


def renamed(text: str, singular: str, plural: str) -> str:
    """The text about another noun."""

    def noun(found: re.Match[str]) -> str:
        word = plural if found["plural"] else singular
        return "".join(part.capitalize() for part in word.split("_")) if found["initial"] == "O" else word

    return NOUN.sub(noun, text)


def inserted(text: str, code: str, anchor: str, name: str) -> str:
    """The text with the code before the first line that begins with the anchor."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith(anchor):
            return "".join([*lines[:number], code, *lines[number:]])
    msg = f"{name} has no line that begins with {anchor!r}; mend the guide, or write the block where it belongs"
    raise CannotFollow(msg)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("singular", help="the noun, as `invoice` or `line_item`")
    parser.add_argument("plural", nargs="?", help="its plural; without it the noun with an s")
    given = parser.parse_args()
    singular, plural = given.singular, given.plural or f"{given.singular}s"
    for word in (singular, plural):
        if not re.fullmatch(r"[a-z]+(_[a-z]+)*", word):
            parser.error(f"{word!r} is no name of a module: small letters, and _ between words")
    try:
        touched = follow(ROOT, singular, plural)
    except CannotFollow as error:
        parser.exit(1, f"error: {error}\n")
    # Another noun stands elsewhere in sorted imports, and fills lines otherwise.
    for command in (["check", "--select", "I,RUF022", "--fix"], ["format"]):
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-m", "ruff", *command, "--quiet", *touched], cwd=ROOT, stdout=sys.stderr, check=False
        )
    print(*touched, sep="\n")
    print(f"\nNow change what is yours (marked in {GUIDE.name}), and do its last step.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
