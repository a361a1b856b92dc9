"""E-mail addresses: kept as typed, compared by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.email_address import KEY_MAX_LENGTH, MAX_LENGTH, email_address, email_key
from domain.errors import InvalidEmail, InvalidText, Unacceptable


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


@pytest.mark.parametrize(
    ("value", "private"),
    [("ann@example,com", False), ("ann@a_b", False), ("ann@-a", False), ("ann@gmail", True), ("ann@intranet", True)],
)
def test_the_setting_is_named_where_it_would_help(value: str, private: bool) -> None:
    with pytest.raises(InvalidEmail) as raised:
        email_address(value)
    assert ("GATEHOUSE_EMAIL__PRIVATE_DOMAINS" in str(raised.value)) is private


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


ADDRESSES = st.builds(
    "{}@{}.{}".format,
    st.text(min_size=1, max_size=12),
    st.text("abzß\u0130ςſüéκ\u4e2d\ufe0f\u3002ａ１-.0", min_size=1, max_size=12),
    st.sampled_from(["com", "example", "рф", "ｃｏｍ"]),
)


@given(ADDRESSES)
def test_the_key_of_an_addresss_key_is_itself(typed: str) -> None:
    try:
        address = email_address(typed)
    except Unacceptable:
        return
    key = email_key(address)
    assert email_key(key) == key
    assert key.rpartition("@")[2].isascii()
    assert len(key) <= KEY_MAX_LENGTH


@given(st.text(min_size=1), st.sampled_from(["example.com", "münchen.example", "xn--mnchen-3ya.example"]))
def test_letter_case_never_makes_another_key(local: str, domain: str) -> None:
    assert email_key(f"{local}@{domain}") == email_key(f"{local.casefold()}@{domain.upper()}")


@given(st.text())
def test_what_is_no_address_has_a_key_too(text: str) -> None:
    assert isinstance(email_key(text), str)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("i@münchen.example", "i@xn--mnchen-3ya.example"),
        ("i@MÜNCHEN.example", "i@XN--MNCHEN-3YA.example"),
        ("d@example.com", "d@example\u3002com"),
        ("d@example.com", "d@example\uff0ecom"),
        ("d@example.com", "d@example\uff61com"),
        ("d@example.com", "d@ｅｘａｍｐｌｅ.com"),
        ("d@example.com", "d@exam\ufe0fple.com"),
        ("d@example.com", "d\ufe0f@example.com"),
        ("d@example.com", "d\u034f@example.com"),
        ("a@faß.example", "a@xn--fa-hia.example"),
        ("a@faß.example", "a@FAẞ.example"),
        ("a@例え.local", "a@xn--r8jz45g.local"),
    ],
)
def test_two_spellings_of_one_domain_have_one_key(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("info@fass.example", "info@faß.example"),
        ("a@σς.example", "a@σσ.example"),
        ("a@example.com", "a@ex\u0430mple.com"),
    ],
)
def test_two_domains_by_idna_2008_have_two_keys(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("\u200bann@example.com", "holds U+200B ZERO WIDTH SPACE"),
        ("ann\u200d@example.com", "holds U+200D ZERO WIDTH JOINER"),
        ("a\u202enn@example.com", "holds U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\ufeffann@example.com", "holds U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u3164@example.com", "nothing that can be seen before its @-sign"),
        ("a@example.com ::: b@example.com", "more than one e-mail address"),
        ("a@example.com, b@example.com", "more than one e-mail address"),
        ("a@example.com;b@example.com", "more than one e-mail address"),
        ("A <a@example.com>, B <b@example.com>", "more than one e-mail address"),
        ("ann@example.com.", "cannot end with a period"),
        ("ann@corp.local", "is at .local, which is not a public domain"),
        ("ann@localhost", "GATEHOUSE_EMAIL__PRIVATE_DOMAINS=localhost"),
        ("ann@例え.test", "is at .test"),
        ("ann@intranet", "GATEHOUSE_EMAIL__PRIVATE_DOMAINS"),
        ("ann＠example.com", "full-width"),
        ("ann@\U0001f600.example", "Codepoint U+1F600 at position 1 not allowed"),
        ("ann@a_b.com", "invalid characters: '_'"),
        ("mailto:ann@example.com", "invalid characters before the @-sign: ':'"),
        ("ann", "must have an @-sign"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_this_address(typed: str, reason: str) -> None:
    with pytest.raises(InvalidEmail) as raised:
        email_address(typed)
    assert reason in raised.value.reason
    assert "canary" not in raised.value.reason


def test_a_refused_domain_is_not_repeated() -> None:
    for typed in ("ann@canary\U0001f600.example", "ann@canar·y.example", "ann@canary.local", "ann@canary"):
        with pytest.raises(InvalidEmail) as raised:
            email_address(typed)
        assert "canar" not in raised.value.reason, typed


def test_a_private_domain_is_taken_where_it_is_allowed_with_all_below_it() -> None:
    allowed = ("local", "localhost", "corp.test")
    for typed in ("ann@corp.local", "ann@LOCAL", "ann@localhost", "ann@corp.test", "a@x.corp.test", "ann@例え.local"):
        assert email_address(typed, private_domains=allowed) == typed
        assert email_key(typed) == email_key(typed.upper()), "the key depends on no setting"
    for typed in ("ann@test", "ann@xcorp.test", "ann@notlocal", "ann@corp.local.", "a b@corp.local", "ann@.local"):
        with pytest.raises(InvalidEmail):
            email_address(typed, private_domains=allowed)
