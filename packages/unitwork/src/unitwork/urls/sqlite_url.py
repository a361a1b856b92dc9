"""SQLite URLs: the file's path in every common spelling."""

import re
from typing import Final
from urllib.parse import quote

from sqlalchemy import URL

from unitwork.urls.url_parameters import Check, ignored, kept, one_of, reject
from unitwork.urls.url_text import decoded

DRIVER: Final = "sqlite+aiosqlite"
SCHEMES: Final = ("sqlite", "sqlite3", "sqlite+aiosqlite", "sqlite+pysqlite", "sqlite+pysqlcipher", "file")
_SHAPE: Final = re.compile(r"(?P<scheme>[a-z0-9+]+):(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.IGNORECASE | re.DOTALL)
_TIMEOUT: Final = "how long to wait has a setting; set `statement_timeout` (seconds) instead"
_OURS: Final = "what a connection needs the service sets itself (WAL, foreign keys); leave it out"

PARAMETERS: Final[dict[str, Check]] = {
    "mode": one_of("ro", "rw", "rwc", "memory"),
    "cache": one_of("shared", "private"),
    **dict.fromkeys(("immutable", "nolock", "psow", "modeof", "vfs"), kept),
    "uri": ignored(why=""),
    "check_same_thread": ignored(why=""),
    "serverversion": ignored(why=""),
    "charset": ignored(why=""),
    **dict.fromkeys(("timeout", "busy_timeout", "_busy_timeout", "socket_timeout"), reject(_TIMEOUT)),
    **dict.fromkeys(
        (
            "isolation_level",
            "detect_types",
            "cached_statements",
            "_fk",
            "_foreign_keys",
            "_journal",
            "_journal_mode",
            "_txlock",
            "connection_limit",
        ),
        reject(_OURS),
    ),
}
"""Checks by parameter name in lower case. Those kept are SQLite's own, which it reads from a URI."""
HOW_TO_WRITE_SQLITE: Final = "write sqlite:///relative/file.db, or sqlite:////absolute/file.db"


def is_sqlite(text: str) -> bool:
    """True if a cleaned text names a SQLite file rather than a server."""
    found = _SHAPE.fullmatch(text)
    return found is not None and found["scheme"].lower() in SCHEMES


def parts_of(text: str) -> tuple[str, str]:
    """Return the path and the query of a cleaned text. Raises ValueError if it names no file."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        msg = f"not a database URL; {HOW_TO_WRITE_SQLITE}"
        raise ValueError(msg)
    path = found["path"]
    if path.startswith("//"):
        host, slash, after = path[2:].partition("/")
        if host not in {"", "localhost"} and host != ":memory:":
            msg = f"a SQLite URL with a host, or with two slashes only, names no file; {HOW_TO_WRITE_SQLITE}"
            raise ValueError(msg)
        path = host if host == ":memory:" else after
        if found["scheme"].lower() == "file" and slash:
            path = f"/{after}"  # file:///srv/x.db is absolute
    return decoded(path), found["query"] or ""


def sqlite_url(path: str, taken: dict[str, str]) -> URL:
    """Return the URL of the file. Raises ValueError for a database in memory, and for a path that is no file."""
    name = path.removeprefix("file:") if taken else path
    if name in {"", ":memory:"} or ":memory:" in path or taken.get("mode") == "memory":
        msg = (
            "an in-memory SQLite database is one shared connection that one cancelled statement "
            "destroys; name a file, for example sqlite:///var/gatehouse.db"
        )
        raise ValueError(msg)
    if name.endswith(("/", "/.", "/..")) or name in {".", ".."} or any(ord(character) < 32 for character in name):
        msg = f"a SQLite URL names a file, not a folder; {HOW_TO_WRITE_SQLITE}"
        raise ValueError(msg)
    if path.startswith("file:") and not taken:
        path = path.removeprefix("file:")
    if not taken:
        return URL.create(DRIVER, database=path)
    return URL.create(DRIVER, database=f"file:{quote(name)}", query={**taken, "uri": "true"})
