"""Rules for text that people type."""

import unicodedata

from domain.errors import InvalidText


def storable_text(field: str, value: str, *, max_length: int) -> str:
    """Return the text stripped. Raises `InvalidText` if it is empty, longer than `max_length` characters, or contains a
    control character (such as NUL) or an unpaired surrogate.
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
