"""Display names: validate and normalize a person's name, in any script."""

import re
from typing import Final

from domain.errors import InvalidText
from domain.invisible import named, visible
from domain.text import storable_text

MAX_LENGTH: Final = 200
TYPED_LENGTH: Final = 1000

_BLANKS: Final = re.compile(r"\s+")
"""White space of every width; control characters are refused before."""
_UNSEEN_ENDS: Final = " \u200b\u2060\ufeff"
"""Blanks and characters without width that are stripped. Joiners are kept: they shape their neighbours."""
_OVERRIDES: Final = "\u202d\u202e"
_ENDS: Final = {"\u202a": "\u202c", "\u202b": "\u202c", "\u2066": "\u2069", "\u2067": "\u2069", "\u2068": "\u2069"}
"""The closing character of each embedding and isolate (Unicode Standard Annex 9)."""
_UNBALANCED: Final = "which changes the direction of what is written behind the name"


def display_name(value: str) -> str:
    """Return the name with runs of blanks replaced by one space, and stripped.

    Raises `InvalidText` if nothing of it is visible, or it contains a control character, a direction override, or an
    embedding or isolate that isn't closed. Joiners, variation selectors and closed isolates are kept: Persian and Hindi
    names and emoji need them.
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
