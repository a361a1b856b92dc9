"""The database section: credentials survive, and stay out of sight."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import URL, make_url

from settings import DatabaseSettings
from unitwork.urls.database_url import async_url

# Half a surrogate pair is no text: no URL, no file and no environment can hold it.
CREDENTIAL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
AWKWARD = st.text("@:/?#%[]&=+ \\'\"é日\U0001f600a1", min_size=1)


@given(username=CREDENTIAL | AWKWARD, password=CREDENTIAL | AWKWARD)
@example(username="a@b", password="p@:/?#%25 +&=ö")
def test_any_credentials_given_apart_survive(username: str, password: str) -> None:
    settings = DatabaseSettings.model_validate(
        {"url": "postgresql://old:older@db/app", "username": username, "password": password}
    )
    assert (settings.url.username, settings.url.password) == (username, password)
    assert (settings.url.host, settings.url.database) == ("db", "app")


@given(username=CREDENTIAL | AWKWARD, password=CREDENTIAL | AWKWARD)
@example(username="a@b", password="p@:/?#%25 +&=ö")
def test_any_credentials_survive_as_text_of_a_url(username: str, password: str) -> None:
    text = URL.create("postgres", username, password, "db", 5432, "app").render_as_string(hide_password=False)
    url = async_url(text)
    assert (url.username, url.password, url.host, url.port, url.database) == (username, password, "db", 5432, "app")
    assert make_url(url.render_as_string(hide_password=False)) == url


def test_only_the_given_part_is_replaced() -> None:
    settings = DatabaseSettings.model_validate({"url": "postgresql://ann:old@db/app", "password": "new"})
    assert (settings.url.username, settings.url.password) == ("ann", "new")
    settings = DatabaseSettings.model_validate({"url": "postgresql://ann:old@db/app", "username": "bob"})
    assert (settings.url.username, settings.url.password) == ("bob", "old")


def test_a_file_takes_no_credentials() -> None:
    settings = DatabaseSettings.model_validate({"url": "sqlite:///x.db", "username": "ann", "password": "pw"})
    assert settings.embedded
    assert settings.url == make_url("sqlite+aiosqlite:///x.db")


@pytest.mark.parametrize("url", ["postgresql://db/app", "mysql://db/app", "mariadb://db/app", "oracle://db/app"])
def test_a_server_is_not_embedded(url: str) -> None:
    assert not DatabaseSettings.model_validate({"url": url}).embedded


def test_the_drain_takes_ten_seconds_and_may_take_none() -> None:
    assert DatabaseSettings().drain_timeout == 10
    assert DatabaseSettings.model_validate({"drain_timeout": 0}).drain_timeout == 0


@pytest.mark.parametrize("bounds", [{"drain_timeout": -0.1}, {"cancel_grace": 0}])
def test_bounds_that_are_none_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DatabaseSettings.model_validate(bounds)
