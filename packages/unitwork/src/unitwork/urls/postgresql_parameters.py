"""PostgreSQL URL parameters: libpq's parameters, and the driver's support for them.

Each is kept, ignored if it changes nothing, or refused by name with the fix. A kept one has libpq's name, except
`sslmode`, which SQLAlchemy and asyncpg call `ssl`; `unitwork.urls.postgresql_arguments` converts them to the driver's
arguments. Source: PostgreSQL's manual, 32.1.2; asyncpg's `connect`.
"""

import re
from collections.abc import Mapping
from typing import Final

from unitwork.urls.url_parameters import Check, ignored, kept, number, one_of, refused, reject, seconds
from unitwork.urls.url_text import UrlText

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_MODE: Final = {
    **{mode: mode for mode in SSL_MODES},
    **dict.fromkeys(("true", "1", "yes", "on", "no-verify"), "require"),
    **dict.fromkeys(("false", "0", "no", "off"), "disable"),
    "verify_ca": "verify-ca",
    "verify_full": "verify-full",
}
_POOLER: Final = "set `pooler=pgbouncer` instead"
_SEARCH_PATH: Final = "write options=-csearch_path%3DNAME instead"
_KEEPALIVES: Final = (
    "the driver (asyncpg) sets none; leave it out: a connection that idled is checked before it is used "
    "(`ping_after_idle`), and net.ipv4.tcp_keepalive_time is the system's own"
)
_INSIDE_OPTIONS: Final = "a setting of the server's; write options=-cNAME%3DVALUE instead"
_POOL: Final = "the pool has settings of its own; set `pool_size`, `max_overflow` and `pool_timeout` instead"
_NO_FILE: Final = "the driver (asyncpg) reads no service file here; write host, port, user and database into the URL"


def _ssl(name: str, value: str) -> dict[str, str]:
    mode = _MODE.get(value.lower())
    if mode is None:
        msg = f"the parameter '{name}' of the URL has an unknown value; use sslmode with one of: {', '.join(SSL_MODES)}"
        raise ValueError(msg)
    return {"ssl": mode}


def _options(name: str, value: str) -> dict[str, str]:
    if re.search(r"(?:-c\s*|--)timezone\s*=", value, re.IGNORECASE):
        raise refused(name, "it sets the time zone, and every session here is in UTC; leave that out")
    return {name: value} if value else {}


PARAMETERS: Final[dict[str, Check]] = {
    **dict.fromkeys(("sslmode", "ssl"), _ssl),
    **dict.fromkeys(("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "passfile"), kept),
    "sslnegotiation": one_of("postgres", "direct"),
    "ssl_min_protocol_version": one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "channel_binding": one_of("disable", "prefer", "require"),
    "gssencmode": ignored(
        "disable", "prefer", why="the driver (asyncpg) has no GSSAPI encryption; use TLS: sslmode=verify-full"
    ),
    **dict.fromkeys(("connect_timeout", "timeout"), seconds),
    **dict.fromkeys(("application_name", "fallback_application_name"), kept),
    "options": _options,
    "target_session_attrs": one_of("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "load_balance_hosts": ignored("disable", why="the driver (asyncpg) tries hosts in their order; leave it out"),
    **dict.fromkeys(("krbsrvname", "gsslib"), kept),
    **dict.fromkeys(("statement_cache_size", "prepared_statement_cache_size", "command_timeout"), number),
    # Parameters that change nothing.
    "client_encoding": ignored("utf8", "utf-8", "auto", why="text is always UTF-8 here; leave it out"),
    "charset": ignored("utf8", "utf-8", "utf8mb4", why="text is always UTF-8 here; leave it out"),
    "serverversion": ignored(why=""),
    "sslcompression": ignored("0", why="the driver (asyncpg) has no TLS compression; leave it out"),
    "sslsni": ignored("1", why="the driver (asyncpg) always tells the server's name; leave it out"),
    "gssdelegation": ignored("0", why="the driver (asyncpg) delegates no credentials; leave it out"),
    # Parameters that are not supported, or written elsewhere.
    **dict.fromkeys(
        ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        reject(_KEEPALIVES),
    ),
    "pgbouncer": reject(f"it is Prisma's; for a transaction pooler {_POOLER}"),
    **dict.fromkeys(("schema", "currentschema", "search_path", "searchpath"), reject(_SEARCH_PATH)),
    "statement_timeout": reject("it has a setting; set `statement_timeout` (seconds) instead"),
    **dict.fromkeys(
        ("lock_timeout", "idle_in_transaction_session_timeout", "default_transaction_isolation", "datestyle"),
        reject(_INSIDE_OPTIONS),
    ),
    "timezone": reject("every session here is in UTC; leave it out"),
    **dict.fromkeys(
        (
            "connection_limit",
            "pool_size",
            "max_overflow",
            "pool_timeout",
            "pool_recycle",
            "pool_pre_ping",
            "pool_max_conns",
            "poolsize",
            "conn_max_age",
        ),
        reject(_POOL),
    ),
    "hostaddr": reject("the driver (asyncpg) takes one address; write it as the host, with sslmode=verify-ca"),
    **dict.fromkeys(("service", "servicefile"), reject(_NO_FILE)),
    **dict.fromkeys(
        ("requirepeer", "require_auth", "sslcertmode", "sslcrldir", "min_protocol_version", "max_protocol_version"),
        reject("the driver (asyncpg) has nothing like it; leave it out, or have the server demand it (pg_hba.conf)"),
    ),
    "requiressl": reject("libpq has given it up; write sslmode=require instead"),
    "sslaccept": reject("it is Prisma's; write sslmode=verify-full, or sslmode=require to check no certificate"),
    "sslfactory": reject("it is JDBC's; write sslmode=verify-full, or sslmode=require to check no certificate"),
    "replication": reject("replication is no work for an application; leave it out"),
    "prepare": reject(f"it is another driver's; for a transaction pooler {_POOLER}"),
    "prepared_statements": reject(f"it is another driver's; for a transaction pooler {_POOLER}"),
    "preparethreshold": reject(f"it is JDBC's; for a transaction pooler {_POOLER}"),
}
"""Checks by parameter name in lower case."""


def apply_rules(text: UrlText, given: Mapping[str, str]) -> dict[str, str]:
    """Apply the rules between parameters; return the resulting ones.

    The driver lacks `channel_binding`: if it is required, TLS is demanded, its prerequisite.
    """
    taken = dict(given)
    if taken.pop("channel_binding", None) == "require":
        mode = taken.setdefault("ssl", "require")
        if mode == "disable":
            raise refused("channel_binding", "it is required, and sslmode=disable has no TLS; leave one of them out")
        if mode in {"allow", "prefer"}:
            taken["ssl"] = "require"
    if taken.get("sslrootcert") == "system":
        if taken.setdefault("ssl", "verify-full") != "verify-full":
            raise refused("sslrootcert", "'system' is for sslmode=verify-full only; write that too")
    elif "sslrootcert" in taken:
        taken.setdefault("ssl", "verify-ca")
    if "sslkey" in taken and "sslcert" not in taken:
        raise refused("sslkey", "it belongs to a certificate; give sslcert too")
    fallback = taken.pop("fallback_application_name", None)
    if fallback:
        taken.setdefault("application_name", fallback)
    return taken | _places(text, taken)


def _places(text: UrlText, taken: Mapping[str, str]) -> dict[str, str]:
    """Return `host` and `port` if they are a socket or several hosts."""
    if "host" not in taken:
        if len(text.places) < 2:
            return {}
        return {
            "host": ",".join(host for host, _ in text.places),
            "port": ",".join(str(port or 5432) for _, port in text.places),
        }
    hosts, ports = [], taken.get("port", "").split(",")
    for index, name in enumerate(taken["host"].split(",")):
        # SQLAlchemy's spelling is host:port; an IPv6 address has more colons.
        found = re.fullmatch(r"([^:/]*):(\d+)", name)
        host, port = (found[1], found[2]) if found else (name, ports[index] if index < len(ports) else ports[-1])
        if not re.fullmatch(r"[\w.-]+|/[^\0]*|[0-9A-Fa-f:.]+", host) or not re.fullmatch(r"\d{0,5}", port):
            msg = "the parameter 'host' of the URL names no host; write host=a,b&port=5432,5433, or a socket's folder"
            raise ValueError(msg)
        hosts.append((host, port or "5432"))
    return {"host": ",".join(host for host, _ in hosts), "port": ",".join(port for _, port in hosts)}
