"""Rules for text that people type."""

import unicodedata

from domain.errors import InvalidText


def storable_text(field: str, value: str, *, max_length: int) -> str:
    """The text without surrounding white space. Raises `InvalidText` when it is empty, longer than
    `max_length` characters, or holds a NUL, another control character or half a surrogate pair.
    """
    text = value.strip()
    if not text:
        raise InvalidText(field, "is empty; give at least one visible character")
    if len(text) > max_length:
        raise InvalidText(field, f"is longer than {max_length} characters")
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"}:
            raise InvalidText(field, f"holds U+{ord(character):04X}, which can't be stored; remove it")
    return text
