"""PersonalValues: recognises persons in free text and in other users' files by their contacts and names."""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from domain.contact_key import contact_key
from domain.email_address import email_key
from domain.errors import Unacceptable
from domain.phone_number import phone_number

FORGOTTEN: Final = "(forgotten)"
"""Placeholder for a removed value."""
SHORTEST_WORD: Final = 4
"""Minimum length of a value that is searched in texts: shorter ones match ordinary words."""
FEWEST_DIGITS: Final = 7
"""Minimum number of digits of a phone number without its country code."""


class PersonalValues:
    """Current and former addresses, numbers and names of some persons."""

    def __init__(self, values: Collection[str]) -> None:
        self._addresses = frozenset(email_key(value) for value in values if "@" in value)
        self._numbers = frozenset(value for value in values if value.startswith("+"))
        told = {value for value in values if len(value) >= SHORTEST_WORD}
        spellings = {spelling for value in told for spelling in (value, value.casefold())}
        words = sorted((re.escape(word) for word in spellings), key=len, reverse=True)
        self._words = re.compile(rf"(?<![\w.+-])(?:{'|'.join(words)})(?![\w-]|\.\w)", re.IGNORECASE) if words else None

    @property
    def contacts(self) -> frozenset[str]:
        """Return the keys under which attempts on their accounts are counted."""
        return frozenset(map(contact_key, self._addresses | self._numbers))

    def in_row(self, cells: Sequence[str], *, region: str | None) -> bool:
        """True when a cell is one of their addresses or numbers, in any spelling. A name alone doesn't count, as other
        people may have it.
        """
        return any(self._is_contact(cell.strip(), region) for cell in cells)

    def in_text(self, text: str) -> bool:
        """True when the text holds one of the values, as a word."""
        return self._words is not None and self._words.search(text) is not None

    def without(self, value: Any) -> Any:
        """Return a JSON value with their values replaced by `FORGOTTEN`; keys of objects are left unchanged."""
        if self._words is None:
            return value
        if isinstance(value, str):
            return self._words.sub(FORGOTTEN, value)
        if isinstance(value, dict):
            return {key: self.without(item) for key, item in value.items()}
        return [self.without(item) for item in value] if isinstance(value, list) else value

    def _is_contact(self, text: str, region: str | None) -> bool:
        if "@" in text:
            return email_key(text) in self._addresses or self.in_text(text)
        digits = re.sub(r"\D", "", text).lstrip("0")
        if len(digits) < FEWEST_DIGITS or not self._numbers:
            return False
        if any(number.endswith(digits) for number in self._numbers):
            return True
        try:
            return phone_number(text, region=region) in self._numbers
        except Unacceptable:
            return False
