"""Origin: the source of each setting in force, and variables that aren't settings."""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

from settings.settings import PREFIX, SHORT_NAMES, Settings

BESIDES: Final = {f"{PREFIX}SECRETS_DIR"}
"""Variables with our prefix that aren't settings: they configure the sources of settings."""
TESTS: Final = "TEST_"
DEFAULT: Final = "default"


@dataclass(frozen=True)
class Stranger:
    """An environment variable with our prefix that isn't a setting, and the setting that may be meant."""

    variable: str
    meant: str | None

    def __str__(self) -> str:
        hint = f"Did you mean {self.meant}?" if self.meant else "Remove it, or see: gatehouse config show"
        return f"{self.variable} is no setting. {hint}"


def variables(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[str]:
    """Yield the long name of every setting; a section's name comes before its settings'."""
    for name, field in model.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{prefix}{name.upper()}__")


def origins() -> dict[str, str]:
    """Return the source of each setting that is set, by long name; the first source that has it wins.

    For the environment and `.env`, the source includes the short variable if that is the one in force.
    """
    sources = Settings.settings_customise_sources(
        Settings,
        InitSettingsSource(Settings, {}),
        EnvSettingsSource(Settings),
        DotEnvSettingsSource(Settings),
        SecretsSettingsSource(Settings),
    )
    found: dict[str, str] = {}
    for source in sources:
        name = _name(source)
        for variable in _given(source(), PREFIX):
            found.setdefault(variable, name + _short(source, variable))
    return found


def strangers() -> list[Stranger]:
    """Return environment variables that look like our settings but aren't, sorted."""
    known = {name.removeprefix(PREFIX) for name in (*variables(), *BESIDES)}
    found = []
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and name not in known and not name.startswith(TESTS):
            near = difflib.get_close_matches(name, sorted(known), n=1)
            found.append(Stranger(variable, PREFIX + near[0] if near else None))
    return found


def _given(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in values.items():
        # Names of unknown variables in a `.env` include the prefix.
        variable = prefix + name.upper().removeprefix(PREFIX)
        if isinstance(value, Mapping):
            yield from _given(value, f"{variable}__")
        else:
            yield variable


def _name(source: PydanticBaseSettingsSource) -> str:
    if isinstance(source, DotEnvSettingsSource):
        return ".env"
    if isinstance(source, NestedSecretsSettingsSource):
        return "secrets directory"
    return "environment" if isinstance(source, EnvSettingsSource) else "arguments"


def _short(source: PydanticBaseSettingsSource, variable: str) -> str:
    """Return the short variable in brackets, if it is the one that was read."""
    for short, long in SHORT_NAMES.items():
        if long.upper() != variable:
            continue
        if isinstance(source, DotEnvSettingsSource):
            given = {name.lower() for name, value in source._read_env_files().items() if value}  # noqa: SLF001 - no public name
        elif isinstance(source, EnvSettingsSource):
            given = {name.lower() for name, value in os.environ.items() if value}
        else:
            return ""
        if long not in given and short in given:
            return f" ({short.upper()})"
    return ""
