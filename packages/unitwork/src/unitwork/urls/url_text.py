"""UrlText: a database URL split into its parts, strictly enough to be certain which part is the password.

A text is refused if an unencoded special character makes it ambiguous. No message here repeats any part of it: in a
malformed URL every part may be a part of the password.
"""

import re
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from sqlalchemy import URL

HOW_TO_WRITE: Final = (
    "write scheme://user:password@host:port/name with every special character of user and password percent-encoded "
    "(@ is %40, / is %2F, # is %23, % is %25), or leave both out and set `username` and "
    "`password`, which are taken as they are"
)
_AROUND: Final = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}"
_QUOTES: Final = "'\"`\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”„«»"
_ASSIGNMENT: Final = re.compile(r"(?:(?:export|set)\s+|\$env:)?[A-Za-z_]\w*\s*=\s*(?=\S)")
"""Assignment in front of the value in a shell or env file."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+._]*")
_PLACE: Final = r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.%-]*)(?::\d{1,5})?"
_PLACES: Final = re.compile(rf"{_PLACE}(?:,{_PLACE})*")
_AFTER: Final = re.compile(r"""(?P<places>[^/?#]*)(?:/(?P<database>[^/?#@\s'"`]*))?(?:\?(?P<query>[^#]*))?""")
_NO_COLON: Final = (re.compile(r"^([^/?#,:]+|\[[^/?#,\]]+\]):(?=[/?]|$)"), r"\1")
_NO_SLASH: Final = (re.compile(r"^([^/?#]*/[^/?#]+)/(?=\?|$)"), r"\1")
"""Patterns that drop a colon without a port and a slash after the database, which mean nothing."""
_NO_PORT: Final = "the port is no number from 1 to 65535"
_PAIRS: Final = re.compile(
    r"(?:host(?:addr)?|server|addr(?:ess)?|data source|port|database|initial catalog|db(?:name)?|user(?:name| id)?|uid"
    r"|password|pwd|sslmode)\s*=",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"(?:[A-Z]:[\\/])?[\w./~\\ -]+\.(?:db3?|sqlite3?)", re.IGNORECASE)
_UNFILLED: Final = re.compile(
    r"(?:^|(?<=[:/@,]))(?:\$\{[^}]*\}|\$\([^)]*\)|\{\{[^}]*\}\}|<[A-Za-z][\w -]*>|\[YOUR[-_ ][A-Z_ -]*\])(?=[:/@,?]|$)"
    r"|^(?:\$\w+|%\w+%)$"
)
"""Placeholders of templates, shells and providers' pages. A real password that looks like one is percent-encoded."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_LITERAL_PLUS: Final = frozenset({"user", "username", "password", "sslpassword"})
"""Parameters in whose values + is no blank: passwords contain it, and libpq and JDBC keep it as it is."""
CREDENTIALS: Final = {"user": "username", "username": "username", "password": "password"}
"""Parameters that drivers accept in place of the user and password parts, which are masked."""


@dataclass(frozen=True)
class UrlText:
    """Parts of a URL, all decoded. Several `places` are the hosts of one database; a port that isn't given is None. Of
    a parameter given twice the last one counts, as with libpq.
    """

    scheme: str
    username: str | None
    password: str | None
    places: tuple[tuple[str, int | None], ...]
    database: str | None
    parameters: dict[str, str]
    named: bool
    """True if the name of an unknown parameter may be repeated in a message. Without a password in its usual place it
    may be the end of one.
    """

    @property
    def backend(self) -> str:
        """Return the scheme without a driver, in lower case."""
        return self.scheme.partition("+")[0].lower()


def cleaned(text: str) -> str:
    """Return the text without what is often pasted around a URL: blanks, quotes, `export DATABASE_URL=`, `psql`,
    `jdbc:`.
    """
    text = _unquoted(text)
    if found := _ASSIGNMENT.match(text):
        text = _unquoted(text[found.end() :])
    return _unquoted(re.sub(r"^(?:psql\s+|jdbc:)", "", text))


def refuse_other_forms(text: str) -> None:
    """Raise ValueError, naming the form, for common texts that aren't a URL."""
    bare = _unquoted(text)
    if "://" not in bare and _PAIRS.match(bare):
        refuse("that is a connection string of names and values, as libpq and .NET have it")
    if _PATH.fullmatch(bare):
        msg = "a path, not a database URL; write sqlite:///relative/file.db, or sqlite:////absolute/file.db"
        raise ValueError(msg)
    if _UNFILLED.search(cleaned(bare)):
        refuse("a placeholder in it has nothing put in its place, such as ${NAME} or [YOUR-PASSWORD]")


def parsed(text: str) -> UrlText:
    """Return the parts of a cleaned text. Raises ValueError, which repeats nothing of it."""
    scheme, found, rest = text.partition("://")
    if not found or not _SCHEME.fullmatch(scheme) or any(ord(character) < 32 for character in rest):
        refuse()
    before, credentials, after = rest.partition("@")
    if not credentials:
        before, after = "", rest
    elif "@" in after or _ends_before_its_at(before):
        refuse()
    else:
        for pattern, replacement in (_NO_COLON, _NO_SLASH):
            after = pattern.sub(replacement, after)
    parts = _AFTER.fullmatch(after)
    if parts is None or not _PLACES.fullmatch(parts["places"]):
        refuse(_wrong_place(after) if credentials else "")
    username, has_password, password = before.partition(":")
    parameters = parameters_of(parts["query"] or "")
    moved = {CREDENTIALS[name]: parameters.pop(name) for name in CREDENTIALS if name in parameters}
    return UrlText(
        scheme,
        moved.get("username", decoded(username) or None),
        moved.get("password", decoded(password) if has_password else None),
        tuple(_place(one) for one in parts["places"].split(",")) if parts["places"] else (),
        decoded(parts["database"]) if parts["database"] else None,
        parameters,
        named=bool(credentials) and not moved,
    )


def of_url(url: URL) -> UrlText:
    """Return the parts of a `URL` object."""
    parameters = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    moved = {CREDENTIALS[name]: parameters.pop(name) for name in CREDENTIALS if name in parameters}
    places = () if url.host is None else ((url.host, url.port),)
    return UrlText(
        url.drivername,
        moved.get("username", url.username),
        moved.get("password", url.password),
        places,
        url.database,
        parameters,
        named=True,
    )


def decoded(text: str) -> str:
    """Return the text without percent-encoding. Raises ValueError for a % that encodes nothing and for bytes that
    aren't UTF-8: a half-encoded text was meant otherwise.
    """
    written = unquote_to_bytes(text)
    plain = written.decode(errors="replace")
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or plain.encode() != written:
        refuse()
    return plain


def refuse(reason: str = "") -> NoReturn:
    """Raise ValueError with the reason and the way to write a URL."""
    msg = f"not a database URL{': ' * bool(reason)}{reason}; {HOW_TO_WRITE}"
    raise ValueError(msg)


def _wrong_place(after: str) -> str:
    """Return the error in host and port, without repeating them."""
    place = re.split(r"[/?#]", after, maxsplit=1)[0]
    if "," not in place and place.count(":") > 1 and "[" not in place:
        return "an IPv6 address stands in brackets, as [::1]"
    if re.fullmatch(r"(?:\[[^\]]*\]|[\w.%-]*):[^:]*", place):
        return _NO_PORT
    return ""


def _ends_before_its_at(before: str) -> bool:
    """True if the text before the @ may itself be host and path, with the @ in a later part. A password with / ? or #
    is accepted only if no other reading is possible.
    """
    ends = [index for mark in "/?#" if (index := before.find(mark)) >= 0]
    return bool(ends) and _PLACES.fullmatch(before[: min(ends)]) is not None


def _place(text: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", text)
    if found is None or (found[2] and not 0 < int(found[2]) < 65536):
        refuse(_NO_PORT)
    host = found[1][1:-1] if found[1].startswith("[") else decoded(found[1])
    return host, int(found[2]) if found[2] else None


def parameters_of(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in filter(None, query.split("&")):
        name, given, value = piece.partition("=")
        if not given or not _NAME.fullmatch(name):
            refuse()
        value = decoded(value if name in _LITERAL_PLUS else value.replace("+", " "))
        # SQLAlchemy repeats the parameter for several hosts.
        found[name] = f"{found[name]},{value}" if name in {"host", "port"} and name in found else value
    return found


def _unquoted(text: str) -> str:
    text = text.strip(_AROUND)
    while text and text[0] in _QUOTES:
        text = (text[1:-1] if text[-1] in _QUOTES else text[1:]).strip(_AROUND)
    return text
