"""usable_besides: settings in which what can't be used is left at its default, for who looks for further faults."""

import secrets
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from settings.errors import SettingsError
from settings.settings import PREFIX, Settings


def usable_besides(error: SettingsError) -> Settings | None:
    """The settings with the default of each variable that the error names, or None where that doesn't help. A `.env`
    with names that are no setting is left out whole.
    """
    given: dict[str, Any] = {}
    for problem in error.problems:
        path = problem.variable.removeprefix(PREFIX).lower().split("__")
        if not _put_default(given, path):
            given["_env_file"] = None
    with suppress(SettingsError):
        return Settings(**given)
    return None


def _put_default(given: dict[str, Any], path: list[str]) -> bool:
    """Whether it is a setting of ours."""
    model: type[BaseModel] = Settings
    for section in path[:-1]:
        field = model.model_fields.get(section)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return False
        model, given = field.annotation, given.setdefault(section, {})
    field = model.model_fields.get(path[-1])
    if field is None:
        return False
    default = field.get_default(call_default_factory=True)
    # Production has no default key: nobody is to take this one for it.
    given[path[-1]] = secrets.token_hex(32) if path == ["secret_key"] else default
    return True
