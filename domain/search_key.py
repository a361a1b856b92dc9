"""search_key: normalize text for searching, so that equivalent spellings match."""

import unicodedata
from typing import Final

GROWTH: Final = 18
"""Maximum number of characters that one can become (U+FDFA)."""
_POINTED: Final = range(10, 37)
"""Combining classes of Hebrew and Arabic vowel points."""
_ACCENTS_FROM: Final = 200
"""Minimum combining class of marks above, below and through letters. Smaller ones distinguish letters, as in Japanese
and Indian scripts.
"""
_LETTERS: Final = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th",
        "‘": "'", "’": "'", "ʼ": "'", "‐": "-", "–": "-",
    }
)  # fmt: skip
"""Replacements for characters that Unicode doesn't decompose."""


def search_key(text: str) -> str:
    """Return the text without case, accents, typographic variants and surplus blanks.

    `Ö`, `ö`, `O` and a fullwidth `ｏ` become `o`, `İ` and `ı` become `i`, `ß` becomes `ss`. The result is empty if
    nothing searchable is left. It is computed here and stored, as databases differ in folding text.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(character for character in folded if not _dropped(character))
    return " ".join(unicodedata.normalize("NFC", kept.translate(_LETTERS)).split())


def _dropped(character: str) -> bool:
    mark = unicodedata.combining(character)
    return mark >= _ACCENTS_FROM or mark in _POINTED or unicodedata.category(character) == "Cf"
