"""Opening connections: what can't be reached gets its name here."""

import os
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine

from database import sqlite
from database.errors import DatabaseUnavailable


def name_connect_failures(engine: AsyncEngine) -> None:
    """Have a connection that can't be made raise `DatabaseUnavailable`, whatever the driver raises."""
    target = engine.sync_engine

    # Last of the listeners, as it makes the connection; drivers raise OSError and errors of their own here,
    # most of which SQLAlchemy passes on untranslated.
    @event.listens_for(target, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        if dialect.name == "sqlite":
            sqlite.make_folder(arguments)
        try:
            return dialect.loaded_dbapi.connect(*arguments, **options)
        except (OSError, TimeoutError, dialect.loaded_dbapi.Error) as error:
            raise DatabaseUnavailable(_reason(error), address(engine.url)) from None


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return os.strerror(error.errno).lower() if error.errno else type(error).__name__
    return str(error.args[0]) if error.args else type(error).__name__


def address(url: URL) -> str:
    """Where the database is, without credentials: `host:port/name`, or SQLite's file."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}/{url.database or ''}"
