"""Connection failures: reason and fix in words for each driver's error numbers.

Sources: PostgreSQL's appendix A, MariaDB's error code list, OpenSSL's X509_V_ERR codes. A server's or driver's text is
passed on only for errors not known here; none contains a password.
"""

import os
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError

from unitwork.errors import DriverError


class Cause(NamedTuple):
    """Reason of a failure, and its fix."""

    reason: str
    fix: str


UNKNOWN_NAME: Final = Cause("no host of that name is known", "Correct the host in `url`")
NO_NAME_SERVER: Final = Cause(
    "the host's name can't be looked up", "Correct the host in `url`, or look at this machine's name server"
)
REFUSED: Final = Cause(
    "connection refused, as nothing listens there", "Start the database, or correct host and port in `url`"
)
NO_ANSWER: Final = Cause("no answer in time", "Look at the server, and at firewalls on the way to it")
NO_WAY: Final = Cause("there is no way to that host", "Look at the network, or correct the host in `url`")
NO_FILE: Final = Cause(
    "a file is missing: the server's socket, or a certificate's that `url` names",
    "Correct the path in `url`",
)
NO_RIGHT: Final = Cause("a file, or the server's socket, may not be used", "Give this user the right to it")
NO_TLS: Final = Cause(
    "the server has no TLS, and the URL demands it",
    "Switch TLS on at the server, or leave sslmode (MariaDB: ssl-mode) out of `url`",
)
NEEDS_TLS: Final = Cause(
    "the server admits no such connection (pg_hba.conf): it may demand TLS, another user or another address",
    "Add ?sslmode=require to `url`, or have the server admit this user and address",
)
NEEDS_TLS_HERE: Final = Cause("the server demands TLS", "Add ?ssl-mode=REQUIRED to `url`")
OTHER_NAME: Final = Cause(
    "the server's certificate is for another name",
    "Connect by the name that is in the certificate, or check its authority only: sslmode=verify-ca "
    "(MariaDB: ssl-mode=VERIFY_CA)",
)
UNKNOWN_AUTHORITY: Final = Cause(
    "the server's certificate is from an unknown authority",
    "Name the authority's certificate in `url`: sslrootcert=FILE (MariaDB: ssl-ca=FILE)",
)
EXPIRED: Final = Cause(
    "the server's certificate has expired, or isn't valid yet", "Renew it, or put this machine's clock right"
)
BAD_CERTIFICATE: Final = Cause(
    "the server's certificate can't be trusted", "Look at the certificate, and its authority"
)
BROKEN_TLS: Final = Cause(
    "no TLS connection comes about", "Look at the server's TLS versions, and at its answer to our certificate"
)
NO_ROOT: Final = Cause(
    "no certificate of an authority is there to check the server's by",
    "Name one in `url`: sslrootcert=FILE, or sslrootcert=system",
)
CREDENTIALS: Final = Cause(
    "user or password are refused",
    "Correct them in `url`, or set `username` and `password`",
)
NO_DATABASE: Final = Cause(
    "the server has no database of that name", "Create it, or correct the name at the end of `url`"
)
NOT_ALLOWED: Final = Cause("this user may not use that database", "Grant it, or correct the user in `url`")
FULL: Final = Cause(
    "the server takes no more connections",
    "Keep the pools of all processes below its limit (`pool_size`, `max_overflow`), or raise it",
)
STARTING: Final = Cause("the server starts up or shuts down", "Wait until it takes connections")
POOLER: Final = Cause(
    "a transaction pooler (PgBouncer) is in between, and takes no settings of a session",
    "Set `pooler=pgbouncer`",
)
NO_SUCH_SETTING: Final = Cause(
    "the server refuses a setting that the session begins with", "Correct options=… in `url`"
)
OTHER_PROTOCOL: Final = Cause("what answers there is no such database", "Correct host and port in `url`")
BROKEN: Final = Cause(
    "the connection breaks off as it is made", "Look at the server's log, and correct host and port in `url`"
)
NO_HOST_FITS: Final = Cause(
    "none of the hosts is what target_session_attrs asks for", "Look at the hosts, or correct `url`"
)
BLOCKED: Final = Cause(
    "the server admits no connections from this address", "Have it admit this host (MariaDB: mariadb-admin flush-hosts)"
)
NO_OPEN: Final = Cause("its file can't be opened", "See that its folder can be written, and correct the path in `url`")
NO_SQLITE: Final = Cause("its file is no database of SQLite's", "Correct the path in `url`")
READ_ONLY: Final = Cause("its file can't be written", "Give this user the right to write the file and its folder")

_BY_SQLSTATE: Final = {
    "28P01": CREDENTIALS,
    "28000": CREDENTIALS,
    "3D000": NO_DATABASE,
    "42501": NOT_ALLOWED,
    "53300": FULL,
    "57P03": STARTING,
    "57P01": STARTING,
    "57P02": STARTING,
    "22023": NO_SUCH_SETTING,
    "42704": NO_SUCH_SETTING,
    "42601": NO_SUCH_SETTING,
}
_BY_NUMBER: Final = {
    1040: FULL,
    1044: NOT_ALLOWED,
    1045: CREDENTIALS,
    1049: NO_DATABASE,
    1129: BLOCKED,
    1130: BLOCKED,
    1203: FULL,
    1226: FULL,
    1698: CREDENTIALS,
    2013: BROKEN,
    3159: NEEDS_TLS_HERE,
    4151: CREDENTIALS,
}
_BY_VERIFY_CODE: Final = {
    **dict.fromkeys((62, 64), OTHER_NAME),
    **dict.fromkeys((2, 18, 19, 20, 21, 24), UNKNOWN_AUTHORITY),
    **dict.fromkeys((9, 10), EXPIRED),
}
_BY_SQLITE_NAME: Final = {
    "SQLITE_CANTOPEN": NO_OPEN,
    "SQLITE_NOTADB": NO_SQLITE,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_PERM": READ_ONLY,
}


def cause(error: BaseException, *, tls_demanded: bool = True) -> Cause:
    """Return the cause of a driver's error while connecting.

    For an unknown error it is the server's own message, or the error's type. With `tls_demanded` False, a refused TLS
    handshake means that something other than the database answered.
    """
    links = list(_chain(error))
    for link in reversed(links):
        if (found := _known(link)) is not None:
            return OTHER_PROTOCOL if found is NO_TLS and not tls_demanded else found
    if isinstance(error, DriverError):
        return Cause(error.message, "")
    for link in links:
        from_server = isinstance(getattr(link, "sqlstate", None), str) or isinstance(link, sqlite3.Error)
        if from_server and not isinstance(link.args[0] if link.args else None, int):
            return Cause(str(link.args[0]) if link.args else type(link).__name__, "")
    return Cause(type(links[0]).__name__, "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes; the innermost, most specific one comes last."""
    link: BaseException | None = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _known(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    if isinstance(error, OSError):
        return _of_system(error)
    number: Any = error.args[0] if error.args else None
    if isinstance(number, int):  # MariaDB's, whose SQLSTATEs are too coarse
        return _BY_NUMBER.get(number)
    if isinstance(state := getattr(error, "sqlstate", None), str):
        return _of_postgresql(state, error)
    if isinstance(name := getattr(error, "sqlite_errorname", None), str):
        return _BY_SQLITE_NAME.get("_".join(name.split("_")[:2]))
    words = str(error.args[0]) if error.args else ""
    if "root certificate file" in words:
        return NO_ROOT
    if "target attribute" in words:
        return NO_HOST_FITS
    return None


def _of_tls(error: ssl.SSLError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, BAD_CERTIFICATE)
    # A server without TLS answers in plain text.
    return NO_TLS if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"} else BROKEN_TLS


def _of_system(error: OSError) -> Cause | None:
    if isinstance(error, socket.gaierror):
        return NO_NAME_SERVER if error.errno == socket.EAI_AGAIN else UNKNOWN_NAME
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, FileNotFoundError):
        return NO_FILE
    if isinstance(error, PermissionError):
        return NO_RIGHT
    if "rejected SSL upgrade" in str(error):
        return NO_TLS
    if isinstance(error, ConnectionError) and "SSL exchange" in str(error):
        return BROKEN_TLS
    if error.errno is None:
        return None
    words = os.strerror(error.errno).lower()
    return NO_WAY if "route" in words or "unreachable" in words else Cause(words, "")


def _of_postgresql(state: str, error: BaseException) -> Cause | None:
    words = str(error.args[0]) if error.args else ""
    if "unsupported startup parameter" in words:
        return POOLER
    if state == "28000" and "pg_hba.conf" in words:
        return NEEDS_TLS
    return _BY_SQLSTATE.get(state)
