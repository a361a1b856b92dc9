"""Text as it is searched: one spelling for all that people take for the same."""

import unicodedata
from typing import Final

GROWTH: Final = 18
"""How many characters one can become (U+FDFA)."""
_POINTED: Final = range(10, 37)
"""Combining classes of Hebrew and Arabic vowel points."""
_ACCENTS_FROM: Final = 200
"""Combining classes from here on are marks above, below and through letters. The smaller ones tell letters apart, as
the marks of Japanese and of Indian scripts do.
"""
_LETTERS: Final = str.maketrans(
    {
        "ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th",
        "‘": "'", "’": "'", "ʼ": "'", "‐": "-", "–": "-",
    }
)  # fmt: skip
"""What Unicode doesn't decompose."""


def search_key(text: str) -> str:
    """The text without case, accents, typographic variants and surplus blanks: `Ö`, `ö`, `O` and a fullwidth `ｏ` are
    `o`, `İ` and `ı` are `i`, `ß` is `ss`. Empty when nothing is left that could be looked for.

    Made here and stored, as each database folds text by rules of its own.
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(character for character in folded if not _dropped(character))
    return " ".join(unicodedata.normalize("NFC", kept.translate(_LETTERS)).split())


def _dropped(character: str) -> bool:
    mark = unicodedata.combining(character)
    return mark >= _ACCENTS_FROM or mark in _POINTED or unicodedata.category(character) == "Cf"
