"""Phone numbers: E.164, or refused."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidPhone, InvalidText, Unacceptable
from domain.phone_number import MAX_LENGTH, REGIONS, phone_number, searched_phone


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


@pytest.mark.parametrize(
    ("typed", "region", "reason"),
    [
        ("+49 30 123456 Bob", None, "letters"),
        ("030 123456 Fax", "DE", "letters"),
        ("+49 30 1234567 (privat)", None, "letters"),
        ("1-800-FLOWERS", "US", "letters"),
        ("415 555 0132 ext. 5 Bob", "US", "letters"),
        ("x4155550132", "US", "letters"),
        ("+1 415 555 0132 or +1 415 555 0133", None, "two numbers"),
        ("+49 30 1234 / 5678", None, "two numbers"),
        ("+44 20 7946 0018 / 0019", None, "two numbers"),
        ("4,155,550,132", "US", "parted its digits by thousands"),
        ("14,155,550,132.00", "US", "parted its digits by thousands"),
        ("+1 415 555 0132 / +1 415 555 0133", None, "two numbers"),
        ("030 1234567, 030 7654321", "DE", "two numbers"),
        ("030 1234567; 030 7654321", "DE", "two numbers"),
        ("030 1234567 & 030 7654321", "DE", "two numbers"),
        ("030 1234567 (89)", "DE", "two numbers"),
        ("415/555/0132", "US", "two numbers"),
        ("tel:1234567;phone-context=+4930", "DE", "two numbers"),
        ("030 1234567~9", "DE", "extension"),
        ("+1 415 555 0132,,5", None, "extension"),
        ("+1 415 555 0132 #5", None, "extension"),
        ("030 1234567 доб. 5", "DE", "extension"),
        ("491512345678.0", "DE", "decimal point and zeros"),
        ("491512345678.0", None, "decimal point and zeros"),
        ("491512345678,00", "DE", "decimal point and zeros"),
        ("4.91512E+11", "DE", "exponent"),
        ("4,91512345678e+11", None, "exponent"),
        ("-4930123", "DE", "minus sign"),
        ("555-0132", "US", "area code"),
        ("1234567", "DE", "area code"),
        ("+15550132", None, "area code"),
        ("112", "DE", "emergency"),
        ("+49112", None, "emergency"),
        ("911", "US", "emergency"),
        ("999", "GB", "emergency"),
        ("116117", "DE", "short number"),
        ("+4911833", None, "short number"),
        ("22722", "US", "short number"),
        ("+1415555", None, "too few"),
        ("+141555501321", None, "too many"),
        ("+1 000 000 0000", None, "numbering plan"),
        ("0049 30 1234567", None, "+ instead of 00"),
        ("+999123456789", None, "no country"),
        ("*31#0301234567", "DE", "U+002A ASTERISK"),
        ('="+49301234567"', "DE", "U+003D EQUALS SIGN"),
        ("'+49301234567", "DE", "U+0027 APOSTROPHE"),
        ("+4930²1234567", None, "U+00B2 SUPERSCRIPT TWO"),
        ("\u202e+49 30 1234567", None, "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\u202b030 1234567\u202c", "DE", "U+202B RIGHT-TO-LEFT EMBEDDING"),
    ],
)
def test_what_a_parser_makes_a_number_of_is_refused_in_its_own_words(
    typed: str, region: str | None, reason: str
) -> None:
    with pytest.raises(InvalidPhone) as raised:
        phone_number(typed, region=region)
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    ("typed", "region", "stored"),
    [
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("030-1234567", "DE", "+49301234567"),
        ("030/1234567", "DE", "+49301234567"),
        ("089 / 636-48018", "DE", "+498963648018"),
        ("+49/30/1234567", None, "+49301234567"),
        ("030.1234567", "DE", "+49301234567"),
        ("(030) 1234567-0", "DE", "+493012345670"),
        ("+39 (0)6 12345678", None, "+390612345678"),
        ("+54 (9) 11 2345-6789", None, "+5491123456789"),
        ("0049 30 1234567", "DE", "+49301234567"),
        ("(+49) 30 1234567", None, "+49301234567"),
        ("tel:+49-30-1234567", None, "+49301234567"),
        ("\u202a+49 30 1234567\u202c", None, "+49301234567"),
        ("\u202d+49 30 1234567\u202c", None, "+49301234567"),
        ("\u200e+49\u00a030\u00a01234567\u200f", None, "+49301234567"),
        ("\ufeff+49 30\u200b 1234567", None, "+49301234567"),
        ("０３０１２３４５６７", "DE", "+49301234567"),
        ("＋49（30）1234567", None, "+49301234567"),
        ("+49 30 1234\u20135678", None, "+493012345678"),
        ("٠٣٠١٢٣٤٥٦٧", "DE", "+49301234567"),
    ],
)
def test_what_people_type_and_paste_is_read(typed: str, region: str | None, stored: str) -> None:
    assert phone_number(typed, region=region) == stored


def test_a_search_reads_a_number_that_is_stored_no_longer() -> None:
    assert searched_phone("+1 555-0132") == "+15550132"
    assert searched_phone("\u202a+1 (415) 555-0132\u202c") == "+14155550132"
    for typed in ("+49 30 123456 Bob", "+49 30 1234 ext. 5", "030 1234567"):
        with pytest.raises(InvalidPhone):
            searched_phone(typed)


@given(st.sampled_from(sorted(REGIONS)))
def test_every_countrys_example_number_is_taken_as_its_people_write_it(region: str) -> None:
    example = phonenumbers.example_number(region)
    if example is None:
        return
    for form in (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        typed = phonenumbers.format_number(example, form)
        assert phone_number(typed, region=region) == phonenumbers.format_number(
            example, phonenumbers.PhoneNumberFormat.E164
        ), typed


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
