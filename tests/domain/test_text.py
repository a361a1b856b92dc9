"""Text that people type: what can be stored, and why not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidText
from domain.text import storable_text


@given(st.text())
def test_text_is_stripped_and_whole_or_refused(value: str) -> None:
    bad = {"Cc", "Cs"} & {unicodedata.category(character) for character in value.strip()}
    if bad or not 0 < len(value.strip()) <= 5:
        with pytest.raises(InvalidText):
            storable_text("name", value, max_length=5)
    else:
        assert storable_text("name", value, max_length=5) == value.strip()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        (" \t\n", "is empty"),
        ("abcdef", "longer than 5"),
        ("a\x00b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x7fb", "U+007F"),
        ("a\x85b", "U+0085"),
        ("a\ud800", "U+D800"),
        ("\udfffa", "U+DFFF"),
    ],
)
def test_a_refusal_names_the_field_and_the_rule(value: str, reason: str) -> None:
    with pytest.raises(InvalidText) as raised:
        storable_text("nickname", value, max_length=5)
    assert raised.value.field == "nickname"
    assert reason in raised.value.reason
    assert str(raised.value).startswith("nickname: ")


@pytest.mark.parametrize("value", ["é", "日本語", "\U0001f600", "a b", "'; --", "%_\\"])
def test_what_people_are_called_is_kept_as_it_is(value: str) -> None:
    assert storable_text("name", value, max_length=5) == value
