"""Address: a database's address for messages, without credentials."""

from pathlib import Path

from sqlalchemy import URL, Engine

from unitwork.backends.registry import backend_named, backend_of
from unitwork.urls.database_url import server_address


def address(url: URL) -> str:
    """Return the database's address without credentials: `host:port/name`, or SQLite's file."""
    if backend_named(url.get_backend_name()).in_file:
        return (url.database or "").removeprefix("file:")
    return server_address(url)


def in_force(engine: Engine) -> str:
    """Return the engine's database for messages: the pool's target, else the URL's address; a file's absolute path."""
    where = getattr(engine.pool, "target", "") or address(engine.url)
    return str(Path(where).absolute()) if backend_of(engine.dialect).in_file else where
