"""Display names: what a person is called, in any script."""

import re
from typing import Final

from domain.errors import InvalidText
from domain.invisible import named, visible
from domain.text import storable_text

MAX_LENGTH: Final = 200
TYPED_LENGTH: Final = 1000

_BLANKS: Final = re.compile(r"\s+")
"""Blanks of every width; control characters among them are refused before."""
_UNSEEN_ENDS: Final = " \u200b\u2060\ufeff"
"""Blanks without width. Joiners aren't: they shape what stands beside them."""
_OVERRIDES: Final = "\u202d\u202e"
_ENDS: Final = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}
"""What ends each embedding and isolate (Unicode Standard Annex 9)."""
_UNBALANCED: Final = "which changes the direction of what is written behind the name"


def display_name(value: str) -> str:
    """The name with one space for each run of blanks, and none at its ends.

    Raises `InvalidText` when nothing of it can be seen, when it holds a control character, or when it could turn the
    direction of text: by an override, or by an embedding or isolate that doesn't end within it. Joiners, variation
    selectors and isolates that end are kept: names in Persian and Hindi, and emoji, are made with them.
    """
    name = _BLANKS.sub(" ", storable_text("display_name", value, max_length=TYPED_LENGTH)).strip(_UNSEEN_ENDS)
    if len(name) > MAX_LENGTH:
        raise InvalidText("display_name", f"is longer than {MAX_LENGTH} characters")
    if not visible(name):
        raise InvalidText("display_name", "holds nothing that can be seen; give at least one visible character")
    if name.isascii():
        return name
    awaited: list[tuple[str, str]] = []
    for character in name:
        if character in _OVERRIDES:
            raise InvalidText("display_name", f"holds {named(character)}, which turns text around; remove it")
        if character in _ENDS:
            awaited.append((character, _ENDS[character]))
        elif character in _ENDS.values() and (not awaited or awaited.pop()[1] != character):
            raise InvalidText("display_name", f"holds {named(character)} that ends nothing; remove it")
    if awaited:
        raise InvalidText("display_name", f"holds {named(awaited[0][0])} without its end, {_UNBALANCED}; remove it")
    return name
