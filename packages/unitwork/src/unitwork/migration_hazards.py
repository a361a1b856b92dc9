"""Hazards: statements of a migration that stop other programs, or break them, on PostgreSQL.

Rules after strong_migrations and squawk. They read SQL, not the database: a table that the same migration creates is
safe, any other one may be large and in use.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_NAME: Final = r'("[^"]+"|[\w.]+)'
_ALTER: Final = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME} (.*)", re.IGNORECASE)
_CREATE_TABLE: Final = re.compile(
    rf"CREATE (?:UNLOGGED |TEMP(?:ORARY)? )?TABLE (?:IF NOT EXISTS )?{_NAME}", re.IGNORECASE
)
_CREATE_INDEX: Final = re.compile(rf"CREATE (?:UNIQUE )?INDEX .*?\bON (?:ONLY )?{_NAME}", re.IGNORECASE)
_WHOLE: Final = re.compile(rf"(?:UPDATE|DELETE FROM) (?:ONLY )?{_NAME}", re.IGNORECASE)
_ALLOWED: Final = re.compile(r"^# lint: allow ([\w-]+) - \S.*$", re.MULTILINE)
_STABLE: Final = re.compile(r"\b(NOW|STATEMENT_TIMESTAMP|TRANSACTION_TIMESTAMP)\s*\(\s*\)")
"""Functions that are called once for a whole table."""

RECIPES: Final = {
    "index": "in a migration of its own, outside a transaction (`with op.get_context().autocommit_block()`), drop an "
    "invalid one of the same name, then create it with `postgresql_concurrently=True`",
    "drop-index": "drop it with `postgresql_concurrently=True` in an `autocommit_block()`",
    "not-null-column": "add it nullable, fill it in batches, then see set-not-null; or give it a constant default",
    "set-not-null": "add CHECK (column IS NOT NULL) NOT VALID, validate it in a later migration, then SET NOT NULL, "
    "which uses it, and drop it",
    "default": "add the column without a default, set the default by another statement, and fill it in batches",
    "type": "add a column of the new type, write both, fill it in batches, then read the new one; a longer varchar, or "
    "text instead of it, is safe: allow it",
    "rename": "add the new name, write both, move the readers, then drop the old one",
    "drop": 'release code that doesn\'t use it first, and declare that release: `compatible_from = "…"`',
    "foreign-key": "add it with `postgresql_not_valid=True`, and VALIDATE CONSTRAINT in a later migration",
    "check": "add it with `postgresql_not_valid=True`, and VALIDATE CONSTRAINT in a later migration",
    "unique": "create the unique index concurrently, then ADD CONSTRAINT … USING INDEX",
    "whole-table": "move rows in batches by their key, each in a transaction of its own, outside the migration",
    "lock": "let a statement that needs a lock take it; or move this out of the migration",
    "unrenderable": "skip what needs rows where `context.is_offline_mode()`, and declare `reads_rows = True`",
}
"""Recipe for each rule: the safe way to the same end."""


@dataclass(frozen=True)
class Hazard:
    """A statement of a migration that a rule names. `statement` is its beginning."""

    revision: str
    rule: str
    statement: str

    @property
    def recipe(self) -> str:
        """Return what to do instead."""
        return RECIPES[self.rule]

    def __str__(self) -> str:
        return f"{self.revision}: {self.rule}: {self.statement}: {self.recipe}"


def hazards(revision: str, sql: str, source: str, *, declared: bool, version_table: str) -> list[Hazard]:
    """Return the hazards of one migration's SQL. `source` is the text of its file, in which a line `# lint: allow RULE
    - REASON` excepts a rule. `declared` is True if it says which releases it is compatible from, which excepts drops
    and renames.
    """
    allowed = set(_ALLOWED.findall(source)) | ({"drop", "rename"} if declared else set())
    statements = [" ".join(re.sub(r"--[^\n]*", "", one).split()) for one in sql.split(";\n")]
    found = _found([one for one in statements if one], version_table)
    return [Hazard(revision, rule, statement[:120]) for rule, statement in found if rule not in allowed]


def _found(statements: Iterable[str], version_table: str) -> Iterator[tuple[str, str]]:
    safe = {version_table}
    for statement in statements:
        if made := _CREATE_TABLE.match(statement):
            safe.add(_plain(made[1]))
        elif index := _CREATE_INDEX.match(statement):
            if _plain(index[1]) not in safe and " CONCURRENTLY " not in statement.upper():
                yield "index", statement
        elif altered := _ALTER.match(statement):
            if _plain(altered[1]) not in safe:
                rules = dict.fromkeys(rule for action in _actions(altered[2]) for rule in _altering(action))
                yield from ((rule, statement) for rule in rules)
        elif re.match(r"DROP INDEX (?!CONCURRENTLY)", statement, re.IGNORECASE):
            yield "drop-index", statement
        elif re.match(r"DROP TABLE", statement, re.IGNORECASE):
            yield "drop", statement
        elif re.match(r"(LOCK|VACUUM FULL|CLUSTER|TRUNCATE|REINDEX (?!.*CONCURRENTLY))", statement, re.IGNORECASE):
            yield "lock", statement
        elif (moved := _WHOLE.match(statement)) and _plain(moved[1]) not in safe:
            yield "whole-table", statement


def _actions(text: str) -> Iterator[str]:
    """Yield the actions of an ALTER TABLE, at whose commas, outside parentheses and quotes, it is split."""
    depth, quoted, begun = 0, False, 0
    for place, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "," and not depth:
                yield text[begun:place].strip()
                begun = place + 1
    yield text[begun:].strip()


def _altering(action: str) -> Iterator[str]:
    """Yield the rules that one action of ALTER TABLE breaks."""
    upper = action.upper()
    if re.match(r"ADD (CONSTRAINT|FOREIGN|CHECK|UNIQUE|PRIMARY|EXCLUDE)\b", upper):
        yield from _constraint(upper)
    elif upper.startswith("ADD "):
        default = "DEFAULT" in upper
        if "NOT NULL" in upper and not default and "GENERATED" not in upper:
            yield "not-null-column"
        value = _STABLE.sub("", upper.partition("DEFAULT")[2])
        if (default and "(" in value) or "GENERATED" in upper or re.search(r"\b(BIG|SMALL)?SERIAL\b", upper):
            yield "default"
        if "REFERENCES" in upper:
            yield "foreign-key"
    elif re.match(r"RENAME\b", upper):
        yield "rename"
    elif re.match(r"DROP (?!CONSTRAINT\b)", upper):
        yield "drop"
    elif re.search(r"\bSET NOT NULL$", upper):
        yield "set-not-null"
    elif re.match(r"ALTER (COLUMN )?\S+ (SET DATA )?TYPE\b", upper):
        yield "type"


def _constraint(upper: str) -> Iterator[str]:
    if "NOT VALID" in upper or "USING INDEX" in upper:
        return
    if "FOREIGN KEY" in upper:
        yield "foreign-key"
    elif re.search(r"\bCHECK\b", upper):
        yield "check"
    else:
        yield "unique"


def _plain(name: str) -> str:
    return name.strip('"').rpartition(".")[2]
