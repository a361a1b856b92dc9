"""Statement effects: detect, from a statement's text, effects beyond its own transaction.

A statement that begins or ends a transaction would do so without its block. One that changes session state would pass
it on to the connection's next user. Effects inside database functions are not detected.
"""

import re
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from unitwork.backends.statement_text import PlainText, plain

MAX_CACHED_TEXTS: Final = 1024
"""Maximum number of texts whose effect is cached."""
MAX_DEPTH: Final = 4
"""Maximum depth of texts inside texts that are examined: EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE …'."""


class Effect(Enum):
    """Effect of a statement besides its rows."""

    NONE = auto()
    TRANSACTION = auto()
    """Begins or ends a transaction or a savepoint."""
    RESETTABLE = auto()
    """Sets session state that the database can reset."""
    LASTING = auto()
    """Sets session state that lasts until the connection is closed."""
    COMMITTING = auto()
    """Like LASTING, and also commits the transaction in which it is sent."""


_MYSQL: Final = frozenset({"mysql", "mariadb"})
_FIRST: Final = re.compile(r"[\s;(]*([A-Za-z]+)\b(?!\s*:)")
_ORDINARY: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "REPLACE", "MERGE", "TABLE"})
"""First words of statements that end no transaction, and set session state only by a function or an assignment."""
_SUSPECT: Final = {
    "postgresql": re.compile(
        r"set_?config|advisory_lock|setseed|temp|pg_settings|dblink|U&\"|pg_(?:start_)?backup|replication",
        re.IGNORECASE,
    ),
    "sqlite": re.compile(r"load_extension", re.IGNORECASE),
    "mysql": re.compile(r"get_lock|@|:=|/\*M?!", re.IGNORECASE),
}
"""Texts without which an ordinary statement has no further effect. They are searched first, in comments too."""
_TRANSACTION: Final = re.compile(
    r"(COMMIT|END|ROLLBACK|ABORT|BEGIN(?!\s+NOT\s+ATOMIC\b)|START(?=\s+TRANSACTION\b)|SAVEPOINT|RELEASE"
    r"|PREPARE(?=\s+TRANSACTION\b)|XA)\b",
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
    "AUTOCOMMIT": "begin",
}
_TEMPORARY: Final = r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:(?:LOCAL|GLOBAL)\s+)?(?:UNLOGGED\s+)?TEMP(?:ORARY)?"
_EXPLAINED: Final = re.compile(
    r"EXPLAIN\s*(?:(?P<options>\([^()]*\))|(?P<words>(?:\b(?:ANALYZE|VERBOSE)\b\s*)*))", re.IGNORECASE
)
_SETS_POSTGRESQL: Final = re.compile(
    r"(?:SET(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET|LISTEN|UNLISTEN|DECLARE|DO|CALL"
    rf"|{_TEMPORARY})\b",
    re.IGNORECASE,
)
_LASTS_POSTGRESQL: Final = re.compile(r"(?:LOAD|PREPARE|EXECUTE|DEALLOCATE|DISCARD)\b", re.IGNORECASE)
_CALLS_POSTGRESQL: Final = re.compile(
    r"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(|\bsetseed\s*\("
    r"|\bset_config\s*\((?![^()]*,\s*(?:is_local\s*(?:=>|:=)\s*)?true\s*\))"
    r"|\bINTO\s+(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\b|\bpg_temp\s*\."
    r"|\bUPDATE\s+(?:ONLY\s+)?(?:pg_catalog\s*\.\s*)?pg_settings\b",
    re.IGNORECASE,
)
_LASTING_CALLS_POSTGRESQL: Final = re.compile(
    r"\b(?:dblink_connect(?:_u)?|pg_(?:start_)?backup(?:_start)?|pg_replication_origin_session_setup"
    r"|pg_create_(?:physical|logical)_replication_slot)\s*\(",
    re.IGNORECASE,
)
_LASTS_MYSQL: Final = re.compile(
    r"(?:SET(?!\s+(?:STATEMENT|PASSWORD|DEFAULT\s+ROLE)\b|\s+GLOBAL\b[^,]*$)|USE|PREPARE|EXECUTE|DEALLOCATE"
    rf"|DROP\s+PREPARE|HANDLER|CALL|GET|LOAD(?=.*@)|{_TEMPORARY})\b",
    re.IGNORECASE | re.DOTALL,
)
_COMMITS_MYSQL: Final = re.compile(
    r"(?:UN)?LOCK\s+(?:TABLES?|INSTANCE)\b|FLUSH\b|BACKUP\b|RESET\s+QUERY\s+CACHE\b|(?:ANALYZE|CHECK|OPTIMIZE|REPAIR)\s+(?:\w+\s+)?TABLES?\b"
    r"|CACHE\s+INDEX\b|SET\s+(?:PASSWORD|DEFAULT\s+ROLE)\b",
    re.IGNORECASE,
)
_CALLS_MYSQL: Final = re.compile(r"\bGET_LOCK\s*\(|:=|\bINTO\s+@", re.IGNORECASE)
_AUTOCOMMIT: Final = re.compile(
    r"(?:\bSET\s|,)\s*(?:(?:SESSION|LOCAL)\s+|@@\s*(?:(?:SESSION|LOCAL)\s*\.\s*)?)?AUTOCOMMIT\s*:?=", re.IGNORECASE
)
_COMPOUND: Final = re.compile(
    r"(?:\w+\s*:\s*)?(?:BEGIN\s+NOT\s+ATOMIC|IF|CASE|LOOP|WHILE|REPEAT|FOR)\b|\w+\s*:\s*BEGIN\b", re.IGNORECASE
)
_INSIDE_COMPOUND: Final = re.compile(
    r"\b(COMMIT|ROLLBACK|SAVEPOINT|START(?=\s+TRANSACTION\b)|XA(?=\s+(?:START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\b)"
    r"|BEGIN(?=\s+WORK\b))\b",
    re.IGNORECASE,
)
_FOR_STATEMENT: Final = re.compile(r"SET\s+STATEMENT\b.*?\bFOR\b", re.IGNORECASE | re.DOTALL)
_OF_STRING: Final = re.compile(
    r"(?:EXECUTE\s+IMMEDIATE|PREPARE\s+\S+\s+FROM)\s+''\s*(?:USING\b.*)?;?\s*$", re.IGNORECASE
)
_LASTS_SQLITE: Final = re.compile(
    rf"(?:ATTACH|DETACH|{_TEMPORARY}|CREATE(?:\s+\w+){{1,2}}\s+(?:IF\s+NOT\s+EXISTS\s+)?temp\s*\."
    r"|(?:EXPLAIN\s+(?:QUERY\s+PLAN\s+)?)?PRAGMA\s+(?:\w+\s*\.\s*)?(?:\w+\s*=|(?!\w*_(?:info|xinfo|list|check)\b|optimize\b)\w+\s*\())",
    re.IGNORECASE,
)
"""Includes explained PRAGMAs, since SQLite executes a PRAGMA when it compiles it."""
_CALLS_SQLITE: Final = re.compile(r"\bload_extension\s*\(", re.IGNORECASE)
_FOUND = tuple[Effect, str]
_NOTHING: Final[_FOUND] = (Effect.NONE, "")


@lru_cache(maxsize=MAX_CACHED_TEXTS)
def effect_of(statement: str, dialect: str) -> Effect:
    """Return the strongest effect that the text shows; comments before or inside it don't hide it."""
    if dialect in _MYSQL:
        dialect = "mysql"
    suspect = _SUSPECT.get(dialect)
    first = _FIRST.match(statement)
    if first is not None and first[1].upper() in _ORDINARY and (suspect is None or suspect.search(statement) is None):
        return Effect.NONE
    return _found(plain(statement, dialect), dialect)[0]


def belongs_to_block(statement: str, dialect: str) -> str:
    """Return the block operation in a text of `Effect.TRANSACTION`: `commit`, `rollback`, `begin` or `savepoint`."""
    return _found(plain(statement, dialect), "mysql" if dialect in _MYSQL else dialect)[1] or "begin"


def _found(words: PlainText, dialect: str, depth: int = 0) -> _FOUND:
    """Return the effect, and the block operation; an empty one for any effect but `TRANSACTION`."""
    text = words.text
    if (own := _TRANSACTION.match(text)) is not None:
        return Effect.TRANSACTION, _METHODS[own[1].upper()]
    match dialect:
        case "postgresql":
            return _of_postgresql(text), ""
        case "mysql":
            return _of_mysql(text, words.strings, depth)
        case "sqlite":
            lasts = _LASTS_SQLITE.match(text) or _CALLS_SQLITE.search(text)
            return (Effect.LASTING, "") if lasts else _NOTHING
    return _NOTHING


def _of_postgresql(text: str) -> Effect:
    explained = _EXPLAINED.match(text)
    if explained is not None:
        if "ANALYZE" not in (explained["options"] or explained["words"] or "").upper():
            return Effect.NONE
        text = text[explained.end() :].lstrip()
    if _LASTS_POSTGRESQL.match(text) or _LASTING_CALLS_POSTGRESQL.search(text):
        return Effect.LASTING
    return Effect.RESETTABLE if _SETS_POSTGRESQL.match(text) or _CALLS_POSTGRESQL.search(text) else Effect.NONE


def _of_mysql(text: str, strings: Sequence[str], depth: int) -> _FOUND:
    if depth > MAX_DEPTH:
        return Effect.LASTING, ""
    if (prefix := _FOR_STATEMENT.match(text)) is not None:
        before = text[: prefix.end()].count("''")
        return _found(PlainText(text[prefix.end() :].lstrip(), tuple(strings[before:])), "mysql", depth + 1)
    if _OF_STRING.match(text) and strings:
        inside = _found(plain(strings[0].replace("\\'", "'").replace("''", "'"), "mysql"), "mysql", depth + 1)
        return inside if inside[0] in {Effect.TRANSACTION, Effect.COMMITTING} else (Effect.LASTING, "")
    if _COMPOUND.match(text):
        if (own := _INSIDE_COMPOUND.search(text)) is not None:
            return Effect.TRANSACTION, _METHODS[own[1].upper()]
        if _AUTOCOMMIT.search(text):
            return Effect.TRANSACTION, "begin"
        return _of_strings_in_compound(strings, depth)
    if text[:3].upper() == "SET" and _AUTOCOMMIT.search(text):
        return Effect.TRANSACTION, "begin"
    if _COMMITS_MYSQL.match(text):
        return Effect.COMMITTING, ""
    return (Effect.LASTING, "") if _LASTS_MYSQL.match(text) or _CALLS_MYSQL.search(text) else _NOTHING


def _of_strings_in_compound(strings: Sequence[str], depth: int) -> _FOUND:
    """Return the effect of a compound statement that may execute one of its strings."""
    for string in strings:
        inside = _found(plain(string, "mysql"), "mysql", depth + 1)
        if inside[0] is Effect.TRANSACTION:
            return inside
    return Effect.LASTING, ""
