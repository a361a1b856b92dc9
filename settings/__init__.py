"""Settings: values read from the environment, and nothing else.

Here: one `Settings` class and its sections. Elsewhere: anything that acts on a value (opening the engine is
`unitwork.connections.engine`; the container creates the key by `settings.secret_key`). Imports no other room. Importing
it doesn't read the environment, constructing `Settings()` does.
"""

from settings.database import DatabaseSettings
from settings.errors import SettingsError
from settings.http import HttpSettings
from settings.settings import Environment, LogFormat, Settings

__all__ = ["DatabaseSettings", "Environment", "HttpSettings", "LogFormat", "Settings", "SettingsError"]
