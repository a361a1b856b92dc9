"""Registry: all backends by SQLAlchemy's dialect names."""

from typing import Final, Protocol

from unitwork.backends.backend import Backend
from unitwork.backends.mariadb import MariaDB
from unitwork.backends.oracle import Oracle
from unitwork.backends.postgresql import PostgreSQL
from unitwork.backends.sqlite import SQLite

_OTHER: Final = Backend()
_KNOWN: Final = {name: backend for backend in (PostgreSQL(), SQLite(), MariaDB(), Oracle()) for name in backend.names}


class Named(Protocol):
    """A dialect, as far as the registry needs it."""

    @property
    def name(self) -> str: ...


def backend_of(dialect: Named) -> Backend:
    """Return the backend of a dialect; the default one for an unknown database."""
    return _KNOWN.get(dialect.name, _OTHER)


def backend_named(name: str) -> Backend:
    """Return the backend of a dialect's name; the default one for an unknown database."""
    return _KNOWN.get(name, _OTHER)
