"""Statement effects: what a statement's text does beyond its own transaction.

A text that begins or ends a transaction would do it behind the block's back. One that sets something for the session
would leave it to whoever gets the connection next. Both are told by their text; what a function of the database's does
inside is not seen.
"""

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final

KEPT: Final = 1024
"""How many texts are remembered."""


class Effect(Enum):
    """What is left of a statement besides its rows."""

    NONE = auto()
    TRANSACTION = auto()
    """It begins a transaction or a savepoint, or ends one."""
    RESETTABLE = auto()
    """It sets something that the database can be told to reset."""
    LASTING = auto()
    """It sets something that only ends with the connection."""


_NAMES: Final = frozenset({"mysql", "mariadb"})
_BLANK: Final = re.compile(r"(?:\s|;|\(|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*!\d*)+")
_COMMENT_PART: Final = re.compile(r"/\*|\*/")
_TRANSACTION: Final = re.compile(
    r"(COMMIT|END|ROLLBACK|ABORT|BEGIN|START(?=\s+TRANSACTION)|SAVEPOINT|RELEASE|PREPARE(?=\s+TRANSACTION)|XA"
    r"|SET(?=\s+(?:SESSION\s+|LOCAL\s+|@@(?:SESSION\.|LOCAL\.)?)?AUTOCOMMIT\b))\b",
    re.IGNORECASE,
)
_METHODS: Final = {
    "COMMIT": "commit",
    "END": "commit",
    "ROLLBACK": "rollback",
    "ABORT": "rollback",
    "BEGIN": "begin",
    "START": "begin",
    "XA": "begin",
    "SAVEPOINT": "savepoint",
    "RELEASE": "savepoint",
    "PREPARE": "commit",
    "SET": "begin",
}
_TEMPORARY: Final = r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:LOCAL|GLOBAL)\s+)?(?:UNLOGGED\s+)?TEMP(?:ORARY)?"
_SETS_POSTGRESQL: Final = re.compile(
    r"(?:SET(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET|LISTEN|UNLISTEN|DECLARE|DO|CALL"
    rf"|{_TEMPORARY})\b",
    re.IGNORECASE,
)
_LASTS_POSTGRESQL: Final = re.compile(r"(?:LOAD|PREPARE|EXECUTE|DEALLOCATE|DISCARD)\b", re.IGNORECASE)
_CALLS_POSTGRESQL: Final = re.compile(
    r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(|\bset_config\s*\((?![^()]*,\s*true\s*\))|\bsetseed\s*\("
    r"|\bINTO\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\b|\bpg_temp\s*\.",
    re.IGNORECASE,
)
_LASTS_MARIADB: Final = re.compile(
    r"(?:SET(?!\s+(?:TRANSACTION|GLOBAL|STATEMENT|PASSWORD|DEFAULT\s+ROLE)\b)|USE|PREPARE|EXECUTE|DEALLOCATE|DROP\s+PREPARE"
    rf"|LOCK|UNLOCK|HANDLER|CALL|{_TEMPORARY})\b",
    re.IGNORECASE,
)
_CALLS_MARIADB: Final = re.compile(r"\bGET_LOCK\s*\(|@\w+\s*:=|\bINTO\s+@", re.IGNORECASE)
_LASTS_SQLITE: Final = re.compile(
    rf"(?:ATTACH|DETACH|{_TEMPORARY}|CREATE\s+\w+\s+(?:IF\s+NOT\s+EXISTS\s+)?temp\s*\."
    r"|PRAGMA\s+(?:\w+\s*\.\s*)?(?:\w+\s*=|(?!\w*_(?:info|xinfo|list|check)\b|optimize\b)\w+\s*\())",
    re.IGNORECASE,
)


@lru_cache(maxsize=KEPT)
def effect_of(statement: str, dialect: str) -> Effect:
    """The greatest effect that the text shows. Comments before it don't hide it."""
    words = _without_comments(statement)
    if _TRANSACTION.match(words):
        return Effect.TRANSACTION
    if dialect == "postgresql":
        if _LASTS_POSTGRESQL.match(words):
            return Effect.LASTING
        sets = _SETS_POSTGRESQL.match(words) or _CALLS_POSTGRESQL.search(words)
        return Effect.RESETTABLE if sets else Effect.NONE
    if dialect in _NAMES:
        return Effect.LASTING if _LASTS_MARIADB.match(words) or _CALLS_MARIADB.search(words) else Effect.NONE
    if dialect == "sqlite":
        return Effect.LASTING if _LASTS_SQLITE.match(words) else Effect.NONE
    return Effect.NONE


def belongs_to_block(statement: str) -> str:
    """Which of the block's own works a text of `Effect.TRANSACTION` does: commit, rollback, begin or savepoint."""
    found = _TRANSACTION.match(_without_comments(statement))
    return "begin" if found is None else _METHODS[found[1].upper()]


def _without_comments(statement: str) -> str:
    """From its first word on. Comments may be nested, as on PostgreSQL; what MariaDB executes of one is none."""
    at = 0
    while True:
        blank = _BLANK.match(statement, at)
        if blank is not None:
            at = blank.end()
        if not statement.startswith("/*", at):
            return statement[at:]
        depth, end = 0, len(statement)
        for part in _COMMENT_PART.finditer(statement, at):
            depth += 1 if part[0] == "/*" else -1
            if depth == 0:
                end = part.end()
                break
        at = end
