"""Invisible characters: what a text can hold without anybody seeing it.

What each kind of value does about them is said where its rules are: `phone_number`, `email_address`, `display_name`.
"""

import re
import unicodedata
from typing import Final

DEFAULT_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt): drawn as nothing, and passed over by
NFKC_Casefold. Joiners and variation selectors, which change how their neighbours are drawn, are among them.
"""
_BLANK_BRAILLE: Final = "\u2800"


def named(character: str) -> str:
    """The character in words: `U+200B ZERO WIDTH SPACE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def visible(text: str) -> bool:
    """True when something of the text is drawn: a letter, digit, sign or symbol, not marks alone."""
    return any(
        (kind := unicodedata.category(character)) not in {"Cc", "Cf", "Cs"}
        and kind[0] not in "MZ"
        and character != _BLANK_BRAILLE
        and not DEFAULT_IGNORABLE.match(character)
        for character in text
    )
