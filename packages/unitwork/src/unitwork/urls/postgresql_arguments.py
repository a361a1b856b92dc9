"""asyncpg arguments: converted from a URL's parameters (`unitwork.urls.postgresql_parameters`)."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlencode

from sqlalchemy import URL

from unitwork.urls.database_url import places

_TLS: Final = frozenset(
    {
        *("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    }
)
"""Parameters that asyncpg accepts only in a DSN, from which it builds a TLS context as libpq would."""
_ARGUMENTS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "connect_timeout": ("timeout", float),
    "target_session_attrs": ("target_session_attrs", str),
    "passfile": ("passfile", str),
    "krbsrvname": ("krbsrvname", str),
    "gsslib": ("gsslib", str),
    "command_timeout": ("command_timeout", float),
    "statement_cache_size": ("statement_cache_size", int),
    "prepared_statement_cache_size": ("prepared_statement_cache_size", int),
}
_SETTINGS: Final = frozenset({"application_name", "options"})
"""Settings sent to the server at the start of a session."""


def arguments(url: URL) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the driver's arguments, and the server settings of a new session."""
    asked = {name: value for name, value in url.query.items() if isinstance(value, str)}
    taken = {name: convert(asked[one]) for one, (name, convert) in _ARGUMENTS.items() if one in asked}
    taken |= _tls(asked)
    hosts = places(url)
    if "host" in asked and hosts:
        taken |= {"host": [host for host, _ in hosts], "port": [port or 5432 for _, port in hosts]}
    return taken, {name: value for name, value in asked.items() if name in _SETTINGS}


def _tls(asked: dict[str, str]) -> dict[str, Any]:
    mode = asked.get("ssl")
    files = {name: value for name, value in asked.items() if name in _TLS}
    if files.get("sslrootcert") == "system":
        # asyncpg's `ssl=True` uses the system's authorities and checks the name.
        del files["sslrootcert"]
        direct = {"direct_tls": True} if files.get("sslnegotiation") == "direct" else {}
        return {"ssl": True, **direct}
    if not files:
        return {} if mode is None else {"ssl": mode}
    parameters = files | ({} if mode is None else {"sslmode": mode})
    return {"dsn": f"postgresql:?{urlencode(parameters, quote_via=quote)}"}
