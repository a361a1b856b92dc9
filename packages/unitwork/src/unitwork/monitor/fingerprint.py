"""Fingerprints: a statement's text without anything that could be a value, and the kind of statement."""

import re
from hashlib import blake2s
from typing import Final, NamedTuple

MAX_LENGTH: Final = 4096
"""Maximum characters of a text that are analysed; bulk statements have hundreds of thousands, all alike."""
_MASK: Final = "?"
_COMMENT: Final = r"--[^\n]*|/\*.*?(?:\*/|\Z)"
_STANDARD: Final = r"'(?:[^']|'')*(?:'|\Z)"
_ESCAPING: Final = r"'(?:[^'\\]|''|\\.)*(?:'|\Z)"
_NUMBER: Final = r"(?<![\w$.\"`])(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
_BIND: Final = r"\$\d+|%\(\w+\)s|%s|\?\d*|(?<![:\w]):[A-Za-z_]\w*"


def _tokens(comment: str, value: str, name: str) -> "re.Pattern[str]":
    """Compile a pattern of tokens: `name` is kept, `comment` becomes a blank, any other match is masked."""
    return re.compile(f"(?P<comment>{comment})|(?P<name>{name})|{value}|{_BIND}|{_NUMBER}", re.DOTALL)


_QUOTED: Final = r'"(?:[^"]|"")*(?:"|\Z)'
_TOKENS: Final = {
    "postgresql": _tokens(
        _COMMENT,
        rf"[eE]{_ESCAPING}|[bBxXnN]?{_STANDARD}|[uU]&{_STANDARD}|(?<!\w)\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z)",
        _QUOTED,
    ),
    # SQLite reads "…" as a string if there is no such identifier: treat it as a name only where only a name can be.
    "sqlite": _tokens(
        _COMMENT,
        rf"[xX]?{_STANDARD}|{_QUOTED}",
        rf"(?<=\.){_QUOTED}|{_QUOTED}(?=\.)|(?<=(?i:FROM|JOIN|INTO)\s){_QUOTED}|(?<=(?i:UPDATE)\s){_QUOTED}|`[^`]*(?:`|\Z)",
    ),
    "mysql": _tokens(rf"{_COMMENT}|\#[^\n]*", rf'[bBxXnN]?{_ESCAPING}|"(?:[^"\\]|""|\\.)*(?:"|\Z)', r"`[^`]*(?:`|\Z)"),
}
_TOKENS["mariadb"] = _TOKENS["mysql"]
_CAST: Final = re.compile(
    r"\?::\w+(?: VARYING| PRECISION| WITH(?:OUT)? TIME ZONE)?(?:\(\?(?:, ?\?)*\))?(?:\[\])?", re.IGNORECASE
)
_LIST: Final = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")
_ROWS: Final = re.compile(r"(\(\?(?:, …)?\))(?:\s*,\s*\(\?(?:, …)?\))+")
_CUT_LIST: Final = re.compile(r"\(\?(?:, \?)*(?:, ?)?$")
_TABLE: Final = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(?:ONLY\s+)?([\w.\"`]+)", re.IGNORECASE)
_VERB: Final = re.compile(r"[A-Za-z]+")
_CONTROLS: Final = frozenset(
    ("BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "SET")
)
_MANY: Final = re.compile(
    r"\bIN \(\?, …|\b(?:ANY|ALL) \(\?\)|\bjson_each\(\?\)|\bVALUES \(\?(?:, …)?\), …", re.IGNORECASE
)
_LIMITED: Final = re.compile(r"\b(?:LIMIT|FETCH)\b", re.IGNORECASE)


class Fingerprint(NamedTuple):
    """Features of a statement's text. `text` holds no literal: it reveals nothing but the schema."""

    id: str
    text: str
    verb: str
    """`SELECT`, …; also `SELECT` for a WITH, as most read."""
    table: str
    """The first table in the statement, or an empty string."""
    reads_one: bool
    """True if it reads a single thing, so that several could be one statement: no list of keys, no rows of values."""
    limited: bool
    """True if it has a LIMIT."""
    controls: bool
    """True if it controls a transaction or a setting: not counted as a statement."""


def fingerprint(statement: str, dialect: str) -> Fingerprint:
    """Return the features that statements differing only in values have in common."""
    text = masked(statement, dialect)
    verb = found[0].upper() if (found := _VERB.search(text)) else ""
    table = named[1].strip('"`') if (named := _TABLE.search(text)) else ""
    reads = verb in {"SELECT", "WITH"}
    return Fingerprint(
        id=blake2s(text.encode("utf-8", "replace"), digest_size=6).hexdigest(),
        text=text,
        verb=verb,
        table=table if re.fullmatch(r"[\w.]+", table) else "",
        reads_one=reads and _MANY.search(text) is None,
        limited=_LIMITED.search(text) is not None,
        controls=verb in _CONTROLS,
    )


def masked(statement: str, dialect: str) -> str:
    """Return the text with literals and bind parameters masked, and lists of them shortened."""
    tokens = _TOKENS.get(dialect, _TOKENS["postgresql"])
    text = tokens.sub(_instead, statement[:MAX_LENGTH])
    text = _CAST.sub(_MASK, " ".join(text.split()))
    text = _ROWS.sub(r"\1, …", _LIST.sub("(?, …)", text))
    if len(statement) > MAX_LENGTH:
        text = _CUT_LIST.sub("", text).rstrip(" ,") + " …"
    return text


def _instead(found: "re.Match[str]") -> str:
    if found["comment"] is not None:
        return " "
    return found[0] if found["name"] is not None else _MASK
