"""UrlText: a database URL taken apart, as strictly as it takes to know which part is the password.

A text is refused whole where a special character that isn't percent-encoded makes it ambiguous, and no message here
repeats any of it: in a broken URL every part may be a part of the password.
"""

import re
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from sqlalchemy import URL

INSTEAD: Final = (
    "write scheme://user:password@host:port/name with every special character of user and password percent-encoded "
    "(@ is %40, / is %2F, # is %23, % is %25), or leave both out and set `username` and "
    "`password`, which are taken as they are"
)
_AROUND: Final = " \t\r\n\v\f\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}"
_QUOTES: Final = "'\"`\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}“”„«»"
_ASSIGNMENT: Final = re.compile(r"(?:(?:export|set)\s+|\$env:)?[A-Za-z_]\w*\s*=\s*(?=\S)")
"""What a line of a shell, or of an env file, has before the value."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+._]*")
_PLACE: Final = r"(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.%-]*)(?::\d{1,5})?"
_PLACES: Final = re.compile(rf"{_PLACE}(?:,{_PLACE})*")
_AFTER: Final = re.compile(r"""(?P<places>[^/?#]*)(?:/(?P<database>[^/?#@\s'"`]*))?(?:\?(?P<query>[^#]*))?""")
_NO_COLON: Final = (re.compile(r"^([^/?#,:]+|\[[^/?#,\]]+\]):(?=[/?]|$)"), r"\1")
_NO_SLASH: Final = (re.compile(r"^([^/?#]*/[^/?#]+)/(?=\?|$)"), r"\1")
"""A colon without a port, and a slash behind the database: they say nothing."""
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
"""What templates, shells and providers' pages have for a value. A password that looks so is percent-encoded."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,60}")
_LITERAL_PLUS: Final = frozenset({"user", "username", "password", "sslpassword"})
"""Parameters in whose values + is no blank: passwords have it, and libpq and JDBC take it as it is."""
CREDENTIALS: Final = {"user": "username", "username": "username", "password": "password"}
"""Parameters that drivers accept for the parts that are masked."""


@dataclass(frozen=True)
class UrlText:
    """Every part decoded. Of places there are several where the database is one of several hosts; a port that isn't
    given is None. Of a parameter that is given twice the last counts, as with libpq.
    """

    scheme: str
    username: str | None
    password: str | None
    places: tuple[tuple[str, int | None], ...]
    database: str | None
    parameters: dict[str, str]
    named: bool
    """Whether the name of an unknown parameter may be repeated. Without a password in its usual place it may be the end
    of one.
    """

    @property
    def backend(self) -> str:
        """The scheme without a driver, in lower case."""
        return self.scheme.partition("+")[0].lower()


def cleaned(text: str) -> str:
    """The text without what is pasted around a URL: blanks, quotes, `export DATABASE_URL=`, `psql`, `jdbc:`."""
    text = _unquoted(text)
    if found := _ASSIGNMENT.match(text):
        text = _unquoted(text[found.end() :])
    return _unquoted(re.sub(r"^(?:psql\s+|jdbc:)", "", text))


def refuse_other_forms(text: str) -> None:
    """Raise ValueError for what people have in the place of a URL, by name."""
    bare = _unquoted(text)
    if "://" not in bare and _PAIRS.match(bare):
        refuse("that is a connection string of names and values, as libpq and .NET have it")
    if _PATH.fullmatch(bare):
        msg = "a path, not a database URL; write sqlite:///relative/file.db, or sqlite:////absolute/file.db"
        raise ValueError(msg)
    if _UNFILLED.search(cleaned(bare)):
        refuse("a placeholder in it has nothing put in its place, such as ${NAME} or [YOUR-PASSWORD]")


def taken_apart(text: str) -> UrlText:
    """The parts of a cleaned text. Raises ValueError, which repeats nothing of it."""
    scheme, found, rest = text.partition("://")
    if not found or not _SCHEME.fullmatch(scheme) or any(ord(character) < 32 for character in rest):
        refuse()
    before, credentials, after = rest.partition("@")
    if not credentials:
        before, after = "", rest
    elif "@" in after or _ends_before_its_at(before):
        refuse()
    else:
        for idle, kept in (_NO_COLON, _NO_SLASH):
            after = idle.sub(kept, after)
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
    """The same of a URL that somebody has built."""
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
    """Without percent-encoding. Refuses a % that encodes nothing, and bytes that are no UTF-8: what is half encoded was
    meant otherwise.
    """
    written = unquote_to_bytes(text)
    plain = written.decode(errors="replace")
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or plain.encode() != written:
        refuse()
    return plain


def refuse(reason: str = "") -> NoReturn:
    """Raise ValueError that says how a URL is written."""
    msg = f"not a database URL{': ' * bool(reason)}{reason}; {INSTEAD}"
    raise ValueError(msg)


def _wrong_place(after: str) -> str:
    """What is wrong with host and port, without repeating them."""
    place = re.split(r"[/?#]", after, maxsplit=1)[0]
    if "," not in place and place.count(":") > 1 and "[" not in place:
        return "an IPv6 address stands in brackets, as [::1]"
    if re.fullmatch(r"(?:\[[^\]]*\]|[\w.%-]*):[^:]*", place):
        return _NO_PORT
    return ""


def _ends_before_its_at(before: str) -> bool:
    """Whether what stands before the @ may itself be host, port and more, the @ being a later part's. A password that
    holds / ? or # is taken where nothing else can be meant.
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
        # SQLAlchemy names several hosts by giving each a parameter.
        found[name] = f"{found[name]},{value}" if name in {"host", "port"} and name in found else value
    return found


def _unquoted(text: str) -> str:
    text = text.strip(_AROUND)
    while text and text[0] in _QUOTES:
        text = (text[1:-1] if text[-1] in _QUOTES else text[1:]).strip(_AROUND)
    return text
