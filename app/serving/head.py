"""Head of a request: rules of HTTP that the parser and uvicorn don't keep."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from app.serving import refusal as refusals
from app.serving.refusal import Refusal

JUDGED: Final = frozenset({b"expect", b"host", b"transfer-encoding", b"content-length"})
"""Names of the headers that are looked at here."""
VERSIONS: Final = frozenset({"1.0", "1.1"})
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*")


def refusal_of(version: str, judged: Mapping[bytes, Sequence[bytes]], *, upgrades: bool) -> Refusal | None:
    """Return the refusal of a complete head that uvicorn would take and HTTP doesn't allow; None for any other.

    `judged` holds the values of each judged header, `upgrades` is True if the request asks for another protocol.
    """
    if version not in VERSIONS:
        return refusals.UNKNOWN_VERSION
    hosts = judged.get(b"host", ())
    if len(hosts) > 1 or (version == "1.1" and not hosts) or not all(map(_HOST.fullmatch, hosts)):
        return refusals.NO_HOST
    codings = judged.get(b"transfer-encoding", ())
    if codings and (version != "1.1" or [coding.lower() for coding in codings] != [b"chunked"]):
        return refusals.UNKNOWN_CODING
    # The parser ends such a message before its body, which would be taken for the next request.
    if upgrades and (codings or judged.get(b"content-length", [b"0"]) != [b"0"]):
        return refusals.BODY_BEHIND_UPGRADE
    return None
