"""Database URLs: convert any common spelling to the URL of an async driver, and mask URLs for output.

Source for the accepted spellings: libpq's connection URIs, MySQL's clients, SQLAlchemy, JDBC, and the formats of
hosting providers and env files. `unitwork.urls.url_text` parses a text; each database's parameters are in
`unitwork.urls.postgresql_parameters`, `unitwork.urls.mysql_parameters` and `unitwork.urls.sqlite_url`.
"""

from typing import Final

from sqlalchemy import URL

from unitwork.urls import mysql_parameters, postgresql_parameters, sqlite_url, url_parameters
from unitwork.urls.url_text import UrlText, cleaned, of_url, parameters_of, parsed, refuse, refuse_other_forms

DRIVERS: Final = {
    "postgresql": "asyncpg",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "sqlite": "aiosqlite",
    "oracle": "oracledb_async",
}
"""Async driver of each database, whichever driver the URL names."""

SPELLINGS: Final = {
    **dict.fromkeys(("postgres", "pgsql", "psql", "postgis"), "postgresql"),
    **dict.fromkeys(("mysql2", "trilogy"), "mysql"),
    "sqlite3": "sqlite",
}
"""Other names of the same databases, used by clients and frameworks."""
SHOWN: Final = frozenset(
    {
        *("host", "port", "ssl", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslnegotiation", "passfile"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "connect_timeout", "application_name"),
        *("target_session_attrs", "statement_cache_size", "prepared_statement_cache_size", "command_timeout"),
        *("ssl_mode", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "unix_socket", "program_name"),
        *("mode", "cache", "immutable", "nolock", "uri", "service_name"),
    }
)
"""Parameters whose values may be shown. Of others only the name is shown, as only known names are accepted."""


def async_url(text: str | URL) -> URL:
    """Return the URL with its async driver, its decoded credentials, and the parameters that the driver supports.

    Raises ValueError, which never repeats what may contain a password, when the text is no URL, the database is
    unknown, a parameter isn't supported, or it names SQLite's `:memory:`.
    """
    if isinstance(text, str):
        refuse_other_forms(text)
        text = cleaned(text)
        if sqlite_url.is_sqlite(text):
            path, query = sqlite_url.parts_of(text)
            return sqlite_url.sqlite_url(
                path, url_parameters.taken(parameters_of(query), sqlite_url.PARAMETERS, named=True)
            )
        parts = parsed(text)
    elif isinstance(text, URL):
        parts = of_url(text)
    else:
        refuse()
    database = SPELLINGS.get(parts.backend, parts.backend)
    if database not in DRIVERS:
        msg = f"unknown database '{parts.backend}'; use one of: {', '.join(DRIVERS)}"
        raise ValueError(msg)
    if database == "sqlite":
        return sqlite_url.sqlite_url(
            parts.database or "", url_parameters.taken(parts.parameters, sqlite_url.PARAMETERS, named=True)
        )
    return _of_server(parts, database)


def masked(url: URL) -> str:
    """Return the URL for output: without the password, and with *** for values of parameters outside `SHOWN`."""
    query = {name: value if name in SHOWN else "***" for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace("=%2A%2A%2A", "=***")


def places(url: URL) -> list[tuple[str, int | None]]:
    """Return the hosts of a URL, or folders of sockets, in their order, each with its port if it is given."""
    hosts, ports = url.query.get("host"), url.query.get("port")
    if not isinstance(hosts, str):
        return [] if url.host is None else [(url.host, url.port)]
    numbers = [int(port) for port in ports.split(",")] if isinstance(ports, str) else [None] * (hosts.count(",") + 1)
    return list(zip(hosts.split(","), numbers, strict=False))


def _of_server(parts: UrlText, database: str) -> URL:
    parameters = dict(parts.parameters)
    name = parameters.pop("dbname", parameters.pop("database", parts.database))
    places: tuple[tuple[str, int | None], ...] = parts.places
    if database == "postgresql":
        at = {one: parameters.pop(one) for one in ("host", "port") if one in parameters}
        taken = postgresql_parameters.apply_rules(
            parts, url_parameters.taken(parameters, postgresql_parameters.PARAMETERS, named=parts.named) | at
        )
        if "host" in taken:
            places = ()
            if "," not in taken["host"] and not taken["host"].startswith("/"):
                places = ((taken.pop("host"), int(taken.pop("port"))),)
        elif places and places[0][0].startswith("/"):
            taken |= {"host": places[0][0], "port": str(places[0][1] or 5432)}
            places = ()
        elif "port" in taken:
            places = ((places[0][0] if places else "", int(taken.pop("port"))),)
    elif database == "oracle":
        taken = parameters
    else:
        taken = mysql_parameters.apply_rules(
            url_parameters.taken(
                {one.replace("-", "_"): value for one, value in parameters.items()},
                mysql_parameters.PARAMETERS,
                named=parts.named,
            )
        )
    if len(places) > 1:
        msg = f"several hosts are PostgreSQL's; the driver ({DRIVERS[database]}) takes one"
        raise ValueError(msg)
    host, port = places[0] if places else (None, None)
    return URL.create(
        f"{database}+{DRIVERS[database]}",
        username=parts.username,
        password=parts.password,
        host=host or None,
        port=port,
        database=name,
        query=taken,
    )


def server_address(url: URL) -> str:
    """Return the address of a server's database without credentials: `host:port/name`, several hosts by commas."""
    hosts = [f"{host}{f':{port}' if port and not host.startswith('/') else ''}" for host, port in places(url)]
    return f"{','.join(hosts) or url.query.get('unix_socket', 'localhost')}/{url.database or ''}"
