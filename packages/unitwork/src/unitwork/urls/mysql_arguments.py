"""asyncmy arguments: converted from a URL's parameters (`unitwork.urls.mysql_parameters`)."""

import math
import ssl
from typing import Any

from sqlalchemy import URL


def arguments(url: URL) -> dict[str, Any]:
    """Return the driver's arguments. Raises OSError or `ssl.SSLError` for a certificate file that can't be used."""
    asked = {name: value for name, value in url.query.items() if isinstance(value, str)}
    taken: dict[str, Any] = {
        name: asked[name] for name in ("unix_socket", "program_name", "init_command") if name in asked
    }
    if "connect_timeout" in asked:
        taken["connect_timeout"] = max(1, math.ceil(float(asked["connect_timeout"])))
    if url.password is not None:
        # As bytes: the driver would encode text as Latin-1, but the server's own clients send the session's encoding.
        taken["password"] = str(url.password).encode()
    if asked.get("ssl_mode", "DISABLED") != "DISABLED":
        taken["ssl"] = _context(asked)
    return taken


def _context(asked: dict[str, str]) -> ssl.SSLContext:
    mode = asked["ssl_mode"]
    context = ssl.create_default_context(cafile=asked.get("ssl_ca"), capath=asked.get("ssl_capath"))
    context.check_hostname = mode == "VERIFY_IDENTITY"
    context.verify_mode = ssl.CERT_NONE if mode == "REQUIRED" else ssl.CERT_REQUIRED
    if "ssl_cert" in asked:
        context.load_cert_chain(asked["ssl_cert"], keyfile=asked.get("ssl_key"))
    if "ssl_cipher" in asked:
        context.set_ciphers(asked["ssl_cipher"])
    return context
