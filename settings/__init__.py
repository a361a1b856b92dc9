"""Values read from the environment, and nothing else.

Here: one `Settings` class and its sections. Not here: anything that acts on a value (opening the
engine is `unitwork.connections.engine`, making a key is `settings.secret_key`, called by the container).
Imports no other room; importing it reads no environment, constructing `Settings()` does.
"""

from settings.database import DatabaseSettings
from settings.errors import SettingsError
from settings.http import HttpSettings
from settings.settings import Environment, LogFormat, Settings

__all__ = ["DatabaseSettings", "Environment", "HttpSettings", "LogFormat", "Settings", "SettingsError"]
