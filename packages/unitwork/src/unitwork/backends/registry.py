"""The backends there are, by the names that SQLAlchemy has for them."""

from typing import Final, Protocol

from unitwork.backends.backend import Backend
from unitwork.backends.mariadb import MariaDB
from unitwork.backends.oracle import Oracle
from unitwork.backends.postgresql import PostgreSQL
from unitwork.backends.sqlite import SQLite

_OTHER: Final = Backend()
_KNOWN: Final = {name: backend for backend in (PostgreSQL(), SQLite(), MariaDB(), Oracle()) for name in backend.names}


class Named(Protocol):
    """A dialect, as far as its kind is concerned."""

    @property
    def name(self) -> str: ...


def backend_of(dialect: Named) -> Backend:
    """Return the backend of a dialect; one that does nothing of its own for a database that isn't known."""
    return _KNOWN.get(dialect.name, _OTHER)


def backend_named(name: str) -> Backend:
    """Return the backend of that name, likewise."""
    return _KNOWN.get(name, _OTHER)
