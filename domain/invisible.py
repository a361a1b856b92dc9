"""Invisible characters: the characters that are displayed as nothing.

The rules for each kind of value are in `phone_number`, `email_address` and `display_name`.
"""

import re
import unicodedata
from typing import Final

DEFAULT_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt): displayed as nothing, and removed by
NFKC_Casefold. It includes joiners and variation selectors, which change the display of their neighbours.
"""
_BLANK_BRAILLE: Final = "\u2800"


def named(character: str) -> str:
    """Return the character's code and name: `U+200B ZERO WIDTH SPACE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def visible(text: str) -> bool:
    """True if something of the text is displayed: a letter, digit, sign or symbol, not only marks."""
    return any(
        (kind := unicodedata.category(character)) not in {"Cc", "Cf", "Cs"}
        and kind[0] not in "MZ"
        and character != _BLANK_BRAILLE
        and not DEFAULT_IGNORABLE.match(character)
        for character in text
    )
