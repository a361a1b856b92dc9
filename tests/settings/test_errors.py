"""No secret shows, however the settings or what is wrong with them are printed."""

import json
import traceback
from typing import Any

import pytest

from settings import DatabaseSettings, Settings, SettingsError

CANARY = "canary-7Qx"
SECRETS: dict[str, Any] = {
    "secret_key": CANARY * 4,
    "database": {"url": f"postgresql://ann:{CANARY}-url@db/app", "password": f"{CANARY}-part"},
}


def test_secrets_show_in_no_form_of_the_settings() -> None:
    settings = Settings(**SECRETS)
    forms = [
        repr(settings),
        str(settings),
        f"{settings.database}",
        repr(settings.database.url),
        str(settings.database.url),
        str(settings.model_dump()),
        str(settings.model_dump(mode="json")),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json")),
        str(dict(settings.database)),
        str(settings.__repr_args__()),
    ]
    assert not [form for form in forms if CANARY in form]
    assert settings.database.url.password == f"{CANARY}-part"
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == CANARY * 4


@pytest.mark.parametrize(
    "values",
    [
        {"secret_key": CANARY},
        {"database": {"url": f"nowhere://ann:{CANARY}@db/app"}},
        {"database": {"url": CANARY}},
        {"database": {"url": f"postgresql://ann:{CANARY}@db:port/app"}},
        {"database": {"password": [CANARY]}},
        {"database": {"pool_size": CANARY}},
        {"database": {"pooler": CANARY}},
        {"database": CANARY},
        {"tokens": {"lifetime": CANARY}},
        {"environment": CANARY},
        {"debug": CANARY},
        {"port": CANARY},
        {"log_level": CANARY},
        {"log_format": CANARY},
        {"var_dir": [CANARY]},
        {"environment": "production", "debug": True, **SECRETS},
    ],
)
def test_an_error_repeats_no_value(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(**values)
    error = raised.value
    assert error.problems
    assert CANARY not in "".join(traceback.format_exception_only(error)) + repr(error) + str(error.problems)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize("variable", ["GATEHOUSE_DATABASE", "GATEHOUSE_TOKENS"])
def test_a_section_that_is_no_json_is_not_repeated(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"{{{CANARY}")
    with pytest.raises(SettingsError, match=variable) as raised:
        Settings()
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_a_section_alone_hides_its_input_too() -> None:
    with pytest.raises(ValueError, match="pool_size") as raised:
        DatabaseSettings.model_validate({"pool_size": CANARY})
    assert CANARY not in str(raised.value)
