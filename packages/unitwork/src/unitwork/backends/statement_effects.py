"""Statement effects: detect, from a statement's text, effects beyond its own transaction.

A statement that begins or ends a transaction would do so without its block. One that changes session state would pass
it on to the connection's next user. Effects inside database functions are not detected.
"""

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final

KEPT: Final = 1024
"""Number of statement texts whose effect is cached."""


class Effect(Enum):
    """Effect of a statement besides its rows."""

    NONE = auto()
    TRANSACTION = auto()
    """Begins or ends a transaction or a savepoint."""
    RESETTABLE = auto()
    """Sets session state that the database can reset."""
    LASTING = auto()
    """Sets session state that lasts until the connection is closed."""


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
    """Return the strongest effect detected in the text. Comments before the statement are skipped."""
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
    """Return the operation of a text of `Effect.TRANSACTION`: commit, rollback, begin or savepoint."""
    found = _TRANSACTION.match(_without_comments(statement))
    return "begin" if found is None else _METHODS[found[1].upper()]


def _without_comments(statement: str) -> str:
    """Return the statement from its first word on, without leading comments. Comments may be nested, as on PostgreSQL;
    a comment that MariaDB executes (`/*!`) isn't skipped.
    """
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
