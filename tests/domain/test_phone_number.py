"""Phone numbers: E.164, or refused."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidPhone, InvalidText, Unacceptable
from domain.phone_number import MAX_LENGTH, REGIONS, phone_number


@pytest.mark.parametrize("typed", ["+14155550132", "+1 (415) 555-0132", "+1-415-555-0132", " +1.415.555.0132 "])
def test_every_way_to_write_a_number_is_one_number(typed: str) -> None:
    assert phone_number(typed) == "+14155550132"


def test_a_national_number_needs_its_region() -> None:
    assert phone_number("(415) 555-0132", region="US") == "+14155550132"
    assert phone_number("020 7946 0018", region="GB") == "+442079460018"
    with pytest.raises(InvalidPhone, match="country code"):
        phone_number("415 555 0132")


def test_a_region_does_not_change_an_international_number() -> None:
    assert phone_number("+442079460018", region="US") == "+442079460018"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hello", "is not a phone number"),
        ("+12", "is not a phone number"),
        ("+999123456789", "is not a phone number"),
        ("+1415555", "wrong number of digits"),
        ("+141555501321", "wrong number of digits"),
        ("+1 415 555 0132 ext. 5", "extension"),
        ("tel:+1-415-555-0132;ext=7", "extension"),
    ],
)
def test_what_is_no_number_is_refused_without_repeating_it(value: str, reason: str) -> None:
    with pytest.raises(InvalidPhone, match=reason) as raised:
        phone_number(value)
    assert raised.value.field == "phone"
    assert value not in str(raised.value)


@pytest.mark.parametrize("value", ["", "  ", "+1415555\x000132", "+14155550132\ud800", "+" + "1" * 300])
def test_what_can_not_be_stored_is_refused(value: str) -> None:
    with pytest.raises(InvalidText) as raised:
        phone_number(value)
    assert raised.value.field == "phone"


@given(st.sampled_from(sorted(REGIONS)), st.integers(min_value=2, max_value=17))
def test_no_numbering_plan_makes_a_number_longer_than_its_column(region: str, digits: int) -> None:
    code = phonenumbers.country_code_for_region(region)
    try:
        number = phone_number(f"+{code}{'2' * digits}")
    except Unacceptable:
        return
    assert len(number) <= MAX_LENGTH
    assert phone_number(number) == number


@given(st.text("+0123456789 ()-.x\x00;", max_size=30), st.sampled_from([None, "US", "DE"]))
def test_a_number_is_always_e164_or_refused(value: str, region: str | None) -> None:
    try:
        number = phone_number(value, region=region)
    except Unacceptable:
        return
    assert number[0] == "+"
    assert number[1:].isdecimal()
    assert len(number) <= MAX_LENGTH
