"""Literals: replace everything in a statement's text that could be a value, as its database reads the text.

A quote that is read differently than by the server turns the text inside out: what is a string there is shown here. So
each database has its own rules, and where they depend on a setting or a version of the server the rest of the text is
replaced as a whole.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

MASK: Final = "?"
_WORD: Final = "A-Za-z0-9_$\\u0080-\\U0010ffff"
"""Characters of a name. Databases count everything outside ASCII, whatever Unicode says."""
_APART: Final = f"(?<![{_WORD}])"
_STRING: Final = r"'(?:[^']|'')*(?:'|\Z)"
_ESCAPING: Final = r"'(?:[^'\\]|''|\\(?:.|\Z))*(?:'|\Z)"
_CONTINUED: Final = rf"(?:[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:\s|--[^\n\r]*)*{_ESCAPING})*"
"""Further parts of an escaping string, each after a blank with a line's end."""
_QUOTED: Final = r'"(?:[^"]|"")*(?:"|\Z)'
_NUMBER: Final = rf"(?<![{_WORD}.])\d[{_WORD}]*(?:\.[{_WORD}]*)?(?:(?<=[eE])[+-]\d[{_WORD}]*)?"
"""A number with all that sticks to it, whatever the server's version makes of that."""
_FRACTION: Final = rf"(?<![{_WORD}])\.\d[{_WORD}]*(?:(?<=[eE])[+-]\d[{_WORD}]*)?"
_BIND: Final = r"\$\d+|%\(\w+\)s|%s|\?\d*|(?<![:\w]):[A-Za-z_]\w*"
_NESTED: Final = re.compile(r"/\*|\*/")


class _Lexer(NamedTuple):
    """Rules of one kind of database. Groups: a `comment` becomes a blank, a `name` is kept, an `unsure` text is
    replaced up to the end of the statement, anything else that matches is replaced.
    """

    tokens: "re.Pattern[str]"
    nests: bool = False
    """True if comments nest."""


def _lexer(*, comment: str, name: str, value: str, unsure: str = r"(?!)", nests: bool = False) -> _Lexer:
    groups = f"(?P<unsure>{unsure})|(?P<comment>{comment})|(?P<name>{name})"
    return _Lexer(re.compile(f"{groups}|{value}|{_BIND}|{_NUMBER}|{_FRACTION}", re.DOTALL), nests)


_POSTGRESQL: Final = _lexer(
    comment=r"--[^\n\r]*|/\*",
    name=_QUOTED,
    value=(
        rf"{_APART}[eE]{_ESCAPING}{_CONTINUED}|{_APART}[uU]&{_STRING}|{_APART}[bBxXnN]{_STRING}|{_STRING}"
        rf"|{_APART}\$(?P<tag>(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
    ),
    # With standard_conforming_strings off, a backslash escapes the quote after it.
    unsure=r"'(?:[^'\\]|''|\\[^'])*\\'",
    nests=True,
)
_SQLITE: Final = _lexer(
    comment=r"--[^\n]*|/\*.*?(?:\*/|\Z)",
    # "…" is a string where there is no such identifier: it is kept only where only a name can be.
    name=(
        rf"(?<=\.){_QUOTED}|{_QUOTED}(?=\.)|(?<=(?i:FROM|JOIN|INTO)\s){_QUOTED}|(?<=(?i:UPDATE)\s){_QUOTED}"
        r"|`(?:[^`]|``)*(?:`|\Z)|\[[^\]]*(?:\]|\Z)"
    ),
    value=rf"{_APART}[xX]{_STRING}|{_STRING}|{_QUOTED}|[@$#]\w+",
)
_MYSQL: Final = _lexer(
    comment=r"--(?=[\s\x00-\x1f]|\Z)[^\n]*|\#[^\n]*|/\*(?!M?!).*?(?:\*/|\Z)",
    name=r"`(?:[^`]|``)*(?:`|\Z)",
    value=rf"""{_APART}[bBxXnN]{_ESCAPING}|{_ESCAPING}|"(?:[^"\\]|""|\\(?:.|\Z))*(?:"|\Z)""",
    # A comment that some versions execute; with NO_BACKSLASH_ESCAPES, a backslash escapes nothing.
    unsure=r"""/\*M?!|'(?:[^'\\]|''|\\[^'])*\\'|"(?:[^"\\]|""|\\[^"])*\\\"""",
)
_ORACLE: Final = _lexer(
    comment=r"--[^\n]*|/\*.*?(?:\*/|\Z)",
    name=_QUOTED,
    value=(
        rf"{_APART}[nN]?[qQ]'(?:\[.*?(?:\]'|\Z)|\{{.*?(?:\}}'|\Z)|<.*?(?:>'|\Z)|\(.*?(?:\)'|\Z)"
        rf"|(?P<mark>[^\s\[{{<(]).*?(?:(?P=mark)'|\Z))|{_APART}[nN]{_STRING}|{_STRING}"
    ),
)
_LEXERS: Final[Mapping[str, _Lexer]] = {
    "postgresql": _POSTGRESQL,
    "sqlite": _SQLITE,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "oracle": _ORACLE,
}


def without_literals(statement: str, dialect: str) -> str:
    """Return the text with a mask for each literal and bind parameter, and a blank for each comment. An unknown dialect
    is read as PostgreSQL.
    """
    lexer = _LEXERS.get(dialect, _POSTGRESQL)
    parts: list[str] = []
    at = 0
    while (found := lexer.tokens.search(statement, at)) is not None:
        parts.append(statement[at : found.start()])
        at = found.end()
        if found["unsure"] is not None:
            parts.append(f"{MASK} …")
            return "".join(parts)
        if found["comment"] is not None:
            parts.append(" ")
            if lexer.nests and found[0] == "/*":
                at = _end_of_comment(statement, at)
        else:
            parts.append(MASK if found["name"] is None else found[0])
    parts.append(statement[at:])
    return "".join(parts)


def _end_of_comment(statement: str, at: int) -> int:
    """Return where the comment ends whose opening mark ends at `at`, with the comments in it."""
    depth = 1
    while depth:
        mark = _NESTED.search(statement, at)
        if mark is None:
            return len(statement)
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at
