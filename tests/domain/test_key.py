"""Keys: found by scanners of secrets, and known to be mistyped without a look into the database."""

import re
from datetime import timedelta

import pytest

from domain import Token, TokenKind
from domain.errors import InvalidText
from domain.key import NEVER, Scope, is_key, key_name, new_key, scopes_text
from domain.token import kind_of, well_formed

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("kind", [TokenKind.KEY, TokenKind.SERVICE])
def test_a_key_is_recognised_and_every_mistyped_one_is_not(kind: TokenKind) -> None:
    secret = new_key(kind.prefix)
    assert re.fullmatch(r"gh_[ps]k_[\w-]{43}[0-9A-Za-z]{6}", secret)
    assert kind_of(secret) is kind
    for at in range(len(secret)):
        other = "A" if secret[at] != "A" else "B"
        wrong = secret[:at] + other + secret[at + 1 :]
        assert not is_key(wrong, kind.prefix)
        assert kind_of(wrong) is None, "it is taken for no access token either"
    for wrong in (secret[:-1], secret + "0", secret[:-1] + "é", secret.swapcase(), f" {secret}"):
        assert kind_of(wrong) is None


def test_an_access_token_that_begins_as_a_key_is_still_one() -> None:
    token, secret = Token.issue(1, lifetime=HOUR)
    assert kind_of(secret) is token.kind is TokenKind.ACCESS
    assert kind_of("gh_pk_" + "A" * 40) is TokenKind.ACCESS
    assert kind_of("ghr_" + "A" * 43) is kind_of("ghm_" + "A" * 43) is kind_of("") is None
    assert well_formed("ghr_" + "A" * 43, TokenKind.REFRESH)


def test_scopes_are_kept_in_one_order_each_once() -> None:
    assert scopes_text(["users:read", "account:read", "users:read"]) == "account:read users:read"
    for wrong in ([], ["all"], ["account:read", ""], ["account:read users:read"]):
        with pytest.raises(InvalidText, match="scopes: are one or more of: account:read"):
            scopes_text(wrong)


def test_a_name_is_a_text_that_can_be_shown() -> None:
    assert key_name("  nightly backup ") == "nightly backup"
    for wrong in ("", " ", "x" * 101, "a\nb"):
        with pytest.raises(InvalidText, match="name: "):
            key_name(wrong)


def test_a_key_allows_its_scopes_and_another_token_everything() -> None:
    key, secret = Token.issue_key(1, TokenKind.KEY, name="x", scopes=[Scope.USERS_READ], lifetime=None)
    assert (key.allows(Scope.USERS_READ), key.allows(Scope.USERS_WRITE), key.allows(None)) == (True, False, False)
    assert key.expires_at == NEVER
    assert secret not in str(vars(key)) + repr(key)
    token, _ = Token.issue(1, lifetime=HOUR)
    assert token.allows(Scope.USERS_WRITE)
    assert token.allows(None)
    assert token.fresh(token.logged_in_at or NEVER, HOUR)
    assert not key.fresh(key.logged_in_at or NEVER, HOUR), "a key is no login"
