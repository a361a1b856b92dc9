"""Fingerprints: a statement's text without anything that could be a value, and the kind of statement."""

import re
from hashlib import blake2s
from typing import Final, NamedTuple

from unitwork.monitor.literals import MASK, without_literals

MAX_LENGTH: Final = 4096
"""Maximum characters of a text that are analysed; bulk statements have hundreds of thousands, all alike."""
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
    text = without_literals(statement[:MAX_LENGTH], dialect)
    text = _CAST.sub(MASK, " ".join(text.split()))
    text = _ROWS.sub(r"\1, …", _LIST.sub("(?, …)", text))
    if len(statement) > MAX_LENGTH:
        text = _CUT_LIST.sub("", text).rstrip(" ,") + " …"
    return text
