"""Database URLs as people write them, made into the URL of an async driver.

Source for the accepted spellings: SQLAlchemy's dialect names, and what hosting providers hand out
(`postgres://`, `?sslmode=`).
"""

from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVERS: Final = {
    "postgresql": "asyncpg",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "sqlite": "aiosqlite",
    "oracle": "oracledb_async",
}
"""The async driver taken for each database, whatever driver the URL names."""

SPELLINGS: Final = {"postgres": "postgresql", "pgsql": "postgresql", "sqlite3": "sqlite"}


def async_url(text: str | URL) -> URL:
    """The URL with its async driver; credentials and `sslmode` moved to where that driver reads them.

    Raises ValueError, which never repeats the URL (it may hold a password), when the text is no URL,
    the database is unknown, or it names SQLite's `:memory:`.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        msg = (
            "not a database URL; write scheme://user:password@host:port/name with every special "
            "character of user and password percent-encoded, or give them apart as DATABASE__USERNAME "
            "and DATABASE__PASSWORD"
        )
        raise ValueError(msg) from None
    scheme = url.drivername.partition("+")[0].lower()
    database = SPELLINGS.get(scheme, scheme)
    if database not in DRIVERS:
        msg = f"unknown database '{scheme}'; use one of: {', '.join(DRIVERS)}"
        raise ValueError(msg)
    url = _credentials_out_of_query(url.set(drivername=f"{database}+{DRIVERS[database]}"))
    if database == "sqlite":
        _refuse_memory(url)
    if database == "postgresql" and "sslmode" in url.query:
        sslmode = url.query["sslmode"]
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return url


def masked(url: URL) -> str:
    """The URL without its password, and without what its options call a password, key or secret."""
    secret = [name for name in url.query if any(word in name.lower() for word in ("password", "secret", "key"))]
    return url.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)


def _credentials_out_of_query(url: URL) -> URL:
    """Drivers accept `?user=&password=`, which no masking knows: move them to the parts that are masked."""
    for key in ("user", "username", "password"):
        value = url.query.get(key)
        if isinstance(value, str):
            url = url.set(password=value) if key == "password" else url.set(username=value)
            url = url.difference_update_query([key])
    return url


def _refuse_memory(url: URL) -> None:
    name = url.database or ""
    if name in {"", ":memory:"} or ":memory:" in name or url.query.get("mode") == "memory":
        msg = (
            "an in-memory SQLite database is one shared connection that one cancelled statement "
            "destroys; name a file, for example sqlite:///var/gatehouse.db"
        )
        raise ValueError(msg)
