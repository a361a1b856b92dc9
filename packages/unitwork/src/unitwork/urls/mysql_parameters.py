"""MySQL and MariaDB URL parameters: the clients' options, and the driver's support for them.

Spelled with `-` or `_`, as in the clients, SQLAlchemy, JDBC and Go. `unitwork.urls.mysql_arguments` converts the kept
ones to the driver's arguments. Source: MySQL's manual, 6.2.5; asyncmy's `connect`.
"""

from typing import Final

from unitwork.urls.url_parameters import Check, ignored, kept, one_of, refused, reject, seconds

SSL_MODES: Final = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_MODE: Final = {
    **{mode: mode for mode in SSL_MODES},
    **dict.fromkeys(("TRUE", "1", "YES", "REQUIRE", "SKIP_VERIFY"), "REQUIRED"),
    **dict.fromkeys(("FALSE", "0", "NO", "DISABLE"), "DISABLED"),
    "PREFER": "PREFERRED",
    "VERIFY_FULL": "VERIFY_IDENTITY",
}
_UTF8: Final = "text is always utf8mb4 here; leave it out"
_ZONE: Final = "every session here is in UTC; leave it out"
_POOL: Final = "the pool has settings of its own; set `pool_size`, `max_overflow` and `pool_timeout` instead"
_ZONES: Final = ("servertimezone", "time_zone", "timezone", "loc", "connectiontimezone")


def _ssl(name: str, value: str) -> dict[str, str]:
    mode = _MODE.get(value.upper().replace("-", "_"))
    if mode is None:
        msg = (
            f"the parameter '{name}' of the URL has an unknown value; use ssl-mode with one of: {', '.join(SSL_MODES)}"
        )
        raise ValueError(msg)
    if mode == "PREFERRED":
        raise refused(
            name, "the driver (asyncmy) uses TLS or doesn't, and tries no other; write ssl-mode=REQUIRED, or DISABLED"
        )
    return {"ssl_mode": mode}


def _renamed(taken: str) -> Check:
    def check(_name: str, value: str) -> dict[str, str]:
        return {taken: value}

    return check


PARAMETERS: Final[dict[str, Check]] = {
    **dict.fromkeys(("ssl_mode", "sslmode", "ssl", "usessl", "requiressl", "tls"), _ssl),
    **dict.fromkeys(("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher"), kept),
    **dict.fromkeys(("unix_socket", "socket"), _renamed("unix_socket")),
    "connect_timeout": seconds,
    **dict.fromkeys(("program_name", "application_name"), _renamed("program_name")),
    "init_command": kept,
    "ssl_check_hostname": one_of("true", "false"),
    # Parameters that change nothing.
    **dict.fromkeys(
        ("charset", "character_set", "characterencoding", "default_character_set"),
        ignored("utf8mb4", "utf8", "utf8mb3", "utf-8", why=_UTF8),
    ),
    "use_unicode": ignored("1", "true", why=_UTF8),
    "useunicode": ignored("1", "true", why=_UTF8),
    "binary_prefix": ignored("1", "true", why="bytes are always marked as such here; leave it out"),
    "autocommit": ignored("1", "true", "0", "false", why="transactions are begun by the service itself; leave it out"),
    "serverversion": ignored(why=""),
    "parsetime": ignored("1", "true", why="moments are always read as such here; leave it out"),
    **dict.fromkeys(_ZONES, ignored("utc", "+00:00", why=_ZONE)),
    # Parameters that are not supported, or written elsewhere.
    **dict.fromkeys(("collation", "connectioncollation"), reject("the tables say how text is compared; leave it out")),
    "connecttimeout": reject("it is JDBC's, in milliseconds; write connect_timeout=SECONDS instead"),
    **dict.fromkeys(
        ("ssl_verify_cert", "verifyservercertificate", "ssl_verify_server_cert"),
        reject("write ssl-mode=VERIFY_CA, or VERIFY_IDENTITY to check the name too, with ssl-ca=FILE"),
    ),
    **dict.fromkeys(("ssl_verify_identity",), reject("write ssl-mode=VERIFY_IDENTITY, with ssl-ca=FILE")),
    "sslaccept": reject("it is Prisma's; write ssl-mode=VERIFY_IDENTITY, with ssl-ca=FILE"),
    **dict.fromkeys(
        (
            "ssl_crl",
            "ssl_crlpath",
            "tls_version",
            "compress",
            "auth_plugin",
            "default_auth",
            "plugin_dir",
            "allowpublickeyretrieval",
            "ssl_fips_mode",
            "tls_ciphersuites",
        ),
        reject("the driver (asyncmy) has nothing like it; leave it out"),
    ),
    **dict.fromkeys(
        ("read_timeout", "write_timeout", "sockettimeout"),
        reject("statements have a bound of their own; set `statement_timeout` (seconds) instead"),
    ),
    **dict.fromkeys(("sql_mode", "sessionvariables"), reject("the service sets what a session needs; leave it out")),
    **dict.fromkeys(("local_infile", "allowloadlocalinfile"), reject("no file is loaded that way; leave it out")),
    **dict.fromkeys(
        ("read_default_file", "read_default_group"),
        reject("no option file is read; write its values into the URL"),
    ),
    **dict.fromkeys(("connection_limit", "pool_size", "max_overflow", "pool_timeout", "pool_recycle"), reject(_POOL)),
}
"""Checks by parameter name in lower case, with `_` for `-`."""


def apply_rules(given: dict[str, str]) -> dict[str, str]:
    """Apply the rules between parameters; return the resulting ones."""
    taken = dict(given)
    if taken.pop("ssl_check_hostname", None) == "true":
        taken.setdefault("ssl_mode", "VERIFY_IDENTITY")
    if "ssl_ca" in taken or "ssl_capath" in taken:
        taken.setdefault("ssl_mode", "VERIFY_CA")
    elif taken.get("ssl_cert"):
        taken.setdefault("ssl_mode", "REQUIRED")
    if "ssl_key" in taken and "ssl_cert" not in taken:
        raise refused("ssl-key", "it belongs to a certificate; give ssl-cert too")
    return taken
