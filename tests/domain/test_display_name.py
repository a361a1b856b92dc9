"""Display names: kept in every script, refused where they can't be seen or turn other text around."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.display_name import MAX_LENGTH, display_name
from domain.errors import InvalidText
from domain.invisible import visible


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("  Ann   Lee ", "Ann Lee"),
        ("Ann\u00a0Lee", "Ann Lee"),
        ("\u3000山田\u3000\u3000太郎", "山田 太郎"),
        ("a\u2028b", "a b"),
        ("\ufeff\u200b Ann \u2060", "Ann"),
    ],
)
def test_runs_of_blanks_are_one_space_and_ends_are_trimmed(typed: str, stored: str) -> None:
    assert display_name(typed) == stored


@pytest.mark.parametrize(
    "name",
    [
        "👨\u200d👩\u200d👧",  # a family, of joined emoji
        "❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
        "می\u200cخواهم",  # Persian, with a non-joiner
        "क्\u200dष",  # Hindi, with a joiner
        "سارة \u2067Ann\u2069",
        "A\u202ab\u202c",
        "e\u0301",
        "-",
        "\ue000",  # somebody's own script
        "\U0001fae8",
    ],
)
def test_what_people_are_called_is_kept_as_it_is(name: str) -> None:
    assert display_name(name) == name


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "is empty"),
        ("\u200b", "nothing that can be seen"),
        ("\u200d\u200c", "nothing that can be seen"),
        ("\u3164", "nothing that can be seen"),
        ("\u2800", "nothing that can be seen"),
        ("\ufe0f", "nothing that can be seen"),
        ("\u0301", "nothing that can be seen"),
        ("\U000e0041", "nothing that can be seen"),
        ("\u2067\u2069", "nothing that can be seen"),
        ("\u202egnp.nnA", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("a\u202db\u202c", "U+202D LEFT-TO-RIGHT OVERRIDE"),
        ("Ann\u2067", "U+2067 RIGHT-TO-LEFT ISOLATE without its end"),
        ("Ann\u202b", "U+202B RIGHT-TO-LEFT EMBEDDING without its end"),
        ("Ann\u2069", "U+2069 POP DIRECTIONAL ISOLATE that ends nothing"),
        ("A\u202a\u2066b\u202c\u2069", "U+202C POP DIRECTIONAL FORMATTING that ends nothing"),
        ("a\tb", "U+0009"),
        ("a\x1bb", "U+001B"),
        ("x" * (MAX_LENGTH + 1), f"longer than {MAX_LENGTH}"),
    ],
)
def test_a_refusal_names_the_character_and_the_rule(typed: str, reason: str) -> None:
    with pytest.raises(InvalidText) as raised:
        display_name(typed)
    assert raised.value.field == "display_name"
    assert reason in raised.value.reason


@given(st.text())
def test_a_stored_name_is_visible_and_stays_as_it_is(typed: str) -> None:
    try:
        name = display_name(typed)
    except InvalidText:
        return
    assert display_name(name) == name
    assert visible(name)
    assert "  " not in name
