"""The section `EMAIL__…`."""

import pytest

from settings import Settings, SettingsError


def test_private_domains_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().email.private_domains == ()
    monkeypatch.setenv("GATEHOUSE_EMAIL__PRIVATE_DOMAINS", "local, .Corp.Test ,xn--r8jz45g.test")
    assert Settings().email.private_domains == ("local", "corp.test", "xn--r8jz45g.test")


@pytest.mark.parametrize("value", ["@local", "*.local", "a b", "-x", "corp..test", "例え.test"])
def test_what_is_no_domain_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GATEHOUSE_EMAIL__PRIVATE_DOMAINS", value)
    with pytest.raises(SettingsError, match="GATEHOUSE_EMAIL__PRIVATE_DOMAINS"):
        Settings()
