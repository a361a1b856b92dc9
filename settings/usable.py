"""usable_besides: settings with unusable values replaced by defaults, to check for further faults."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import BaseModel
from sqlalchemy import URL

from settings.errors import SettingsError
from settings.settings import PREFIX, Settings


def usable_besides(error: SettingsError) -> Settings | None:
    """Return the settings with the default of each variable in the error; None if they are still unusable.

    A variable that isn't a setting is ignored; a `.env` that has one is ignored as a whole.
    """
    given: dict[str, Any] = {}
    strangers: list[str] = []
    for problem in error.problems:
        if not _put_default(given, problem.variable.removeprefix(PREFIX).lower().split("__")):
            found = [name for name in os.environ if name.upper() == problem.variable]
            strangers += found
            if not found:
                given["_env_file"] = None
    with suppress(SettingsError), _without(strangers):
        return Settings(**given)
    return None


@contextmanager
def _without(names: list[str]) -> Iterator[None]:
    """Remove these variables from the environment inside the block."""
    kept = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(kept)


def _put_default(given: dict[str, Any], path: list[str]) -> bool:
    """Replace a value by its default. True if the name is a setting's."""
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
    # Production has no default key: nobody may mistake this one for it.
    if isinstance(default, URL):
        default = default.render_as_string(hide_password=False)  # pydantic-settings takes it for a plain tuple
    given[path[-1]] = secrets.token_hex(32) if path == ["secret_key"] else default
    return True
