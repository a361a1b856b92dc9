"""Options: what the library reads, from whoever gives it."""

from dataclasses import fields, replace

import pytest

from settings.database import DatabaseSettings, as_variables
from unitwork import DatabaseOptions

OWN = {"address", "url", "username", "password", "application_name", "replicas"}


def test_the_defaults_are_the_services() -> None:
    ours, theirs = DatabaseOptions("sqlite:///a.db"), DatabaseSettings()
    names = {one.name for one in fields(ours)} - OWN
    assert len(names) > 15
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


def test_credentials_need_no_escaping_and_are_shown_nowhere() -> None:
    options = DatabaseOptions("postgres://db.example/shop", username="ann", password="p@ss/word")
    assert (options.url.username, options.url.password) == ("ann", "p@ss/word")
    assert options.url.drivername == "postgresql+asyncpg"
    assert replace(options, pool_size=2).url == options.url
    assert "p@ss" not in f"{options!r} {options} {options.url}"
    assert repr(replace(options, pool_size=2)).endswith("username='ann', pool_size=2)")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pool_size": 0}, "pool_size is at least 1"),
        ({"repeated_sql_threshold": 1}, "repeated_sql_threshold is at least 2"),
        ({"connect_timeout": 0.0}, "connect_timeout is above 0"),
        ({"statement_timeout": -1.0}, "statement_timeout is above 0"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        DatabaseOptions("sqlite:///a.db", **wrong)  # type: ignore[arg-type]  # that is the point


def test_none_is_a_bound_that_is_not_set() -> None:
    options = DatabaseOptions("sqlite:///a.db", statement_timeout=None, slow_sql_threshold=None)
    assert (options.statement_timeout, options.slow_sql_threshold) == (None, None)


def test_texts_of_the_library_name_variables_where_the_service_tells_them() -> None:
    said = "raise `pool_size`, set `pooler=pgbouncer`, correct `url`; see `something`; run `alembic upgrade head`"
    assert as_variables(said) == (
        "raise GATEHOUSE_DATABASE__POOL_SIZE, set GATEHOUSE_DATABASE__POOLER=pgbouncer, correct DATABASE_URL; "
        "see `something`; run gatehouse db upgrade"
    )
