"""Language tags: one spelling of each, and what no language is named by is refused."""

import pytest

from domain import User
from domain.errors import InvalidText
from domain.locale import languages_of, locale_tag


@pytest.mark.parametrize(
    ("typed", "tag"),
    [("DE", "de"), ("de_at", "de-AT"), (" zh-hant-tw ", "zh-Hant-TW"), ("es-419", "es-419"), ("haw-US", "haw-US")],
)
def test_a_tag_is_written_as_rfc_5646_does(typed: str, tag: str) -> None:
    assert locale_tag(typed) == tag
    assert User.create({"email": "a@example.com", "locale": typed}).locale == tag


@pytest.mark.parametrize("typed", ["", "d", "german", "de-", "de-AT-x", "../de", "de\0", "dé", "en-USA-x"])
def test_what_is_no_language_is_refused(typed: str) -> None:
    with pytest.raises(InvalidText, match="locale: "):
        locale_tag(typed)


def test_shorter_forms_follow_and_none_has_none() -> None:
    assert list(languages_of("zh-Hant-TW")) == ["zh-Hant-TW", "zh-Hant", "zh"]
    assert list(languages_of(None)) == []
