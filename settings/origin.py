"""Where each setting in force comes from, and variables that are no setting."""

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
"""Variables of ours that are no setting: they say where settings are."""
TESTS: Final = "TEST_"
DEFAULT: Final = "default"


@dataclass(frozen=True)
class Stranger:
    """A variable of the environment with our prefix that is no setting, and the one that may be meant."""

    variable: str
    meant: str | None

    def __str__(self) -> str:
        hint = f"Did you mean {self.meant}?" if self.meant else "Remove it, or see: gatehouse config show"
        return f"{self.variable} is no setting. {hint}"


def variables(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[str]:
    """The long name of every setting, those of sections after the section's."""
    for name, field in model.model_fields.items():
        yield prefix + name.upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, f"{prefix}{name.upper()}__")


def origins() -> dict[str, str]:
    """For each setting that a source gives, by its long name, that source; the first one that has it counts.

    Of the environment and `.env` it names a short variable where that is the one that counts.
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
    """Variables of the environment that look like settings of ours and are none, in order."""
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
        # An unknown name of a `.env` comes with its prefix.
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
    """The short variable in brackets, where it is the one that was read."""
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
