"""E-mail addresses: kept as typed, compared by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.email_address import KEY_MAX_LENGTH, MAX_LENGTH, email_address, email_key
from domain.errors import InvalidEmail, InvalidText


@pytest.mark.parametrize("typed", ["Ann.Lee+x@Example.com", "ann@bücher.example", "用户@例子.com", "o'neil@a.example"])
def test_an_address_is_kept_as_it_was_typed(typed: str) -> None:
    assert email_address(f"  {typed} ") == typed


@pytest.mark.parametrize(
    "value", ["ann", "ann@", "@nowhere.org", "ann@@example.com", "a b@example.com", "Ann <ann@example.com>", "a@b..com"]
)
def test_what_is_no_address_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(InvalidEmail) as raised:
        email_address(value)
    assert raised.value.field == "email"
    assert value not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("value", ["", "a\x00@example.com", "a\ud800@example.com", f"a@{'x' * MAX_LENGTH}.com"])
def test_what_can_not_be_stored_is_refused(value: str) -> None:
    with pytest.raises(InvalidText) as raised:
        email_address(value)
    assert raised.value.field == "email"


def test_an_address_whose_key_would_not_fit_is_refused() -> None:
    ligature = "\ufdfa"  # eighteen characters once it is written out
    assert email_address(f"{ligature * 20}@example.com")
    with pytest.raises(InvalidEmail, match=str(KEY_MAX_LENGTH)):
        email_address(f"{ligature * 64}@example.com")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "ANN@EXAMPLE.COM"),
        ("straße@example.com", "STRASSE@example.com"),
        ("ﬁn@example.com", "FIN@example.com"),
        ("ａｎｎ@example.com", "ann@example.com"),  # full width
        ("e\u0301@example.com", "É@example.com"),  # decomposed
        ("ς@example.com", "Σ@example.com"),
    ],
)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


def test_two_addresses_have_two_keys() -> None:
    assert email_key("ann@example.com") != email_key("anne@example.com")
    assert email_key("a.nn@example.com") != email_key("ann@example.com")


@given(st.text())
def test_the_key_of_a_key_is_itself(address: str) -> None:
    assert email_key(email_key(address)) == email_key(address)


@given(st.text())
def test_letter_case_never_makes_another_key(address: str) -> None:
    assert email_key(address) == email_key(address.casefold())
