"""search_key: one spelling for what people take for the same."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from domain.search_key import GROWTH, search_key


def test_no_character_grows_by_more_than_the_column_allows_for() -> None:
    letters = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    assert max(len(search_key(letter)) for letter in letters) == GROWTH


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_key_is_its_own_key_and_has_no_case(text: str) -> None:
    key = search_key(text)
    assert search_key(key) == key
    assert search_key(text.upper()) == search_key(text.upper().lower())
    assert len(key) <= GROWTH * len(text)
    assert key == key.strip()
