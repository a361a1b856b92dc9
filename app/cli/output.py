"""Output of commands: tables on a terminal, tab-separated lines in a pipe, JSON for programs."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain import User

NATURAL: Final = 100_000
"""Width in columns of a virtual terminal in which every table fits; used to measure tables."""
PROOF_COLUMNS = ("email_verified_at", "pending_email", "locale")
USER_COLUMNS = ("id", "email", "phone", "display_name", "role", "status", "created_at", "deleted_at")


def user_record(user: User) -> dict[str, Any]:
    """Return an account as in the HTTP API: ids as text, times in RFC 3339."""
    record: dict[str, Any] = {name: getattr(user, name) for name in USER_COLUMNS}
    record |= {name: getattr(user, name) for name in ("version", "updated_at", *PROOF_COLUMNS)}
    record |= {name: str(getattr(user, name)) for name in ("id", "created_by", "updated_by")}
    return {name: shown_time(value) for name, value in record.items()}


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a table on a terminal, tab-separated lines with a header elsewhere. Text is printed literally, not as
    markup.

    Nothing is truncated: if the terminal is too narrow, columns without a value are left out; if it still is, each
    record becomes a paragraph of `column  value` lines, whose long values the terminal wraps.
    """
    cells = [["" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            print("\t".join(line))
        return
    # NO_COLOR (no-color.org), or a terminal without escape sequences: plain text, not even bold.
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in {"dumb", "unknown"}
    console = Console(no_color=plain)
    for kept in (range(len(columns)), _filled(columns, cells)):
        table = Table(*(columns[index] for index in kept), header_style="" if plain else "bold")
        for line in cells:
            table.add_row(*(Text(line[index]) for index in kept))
        if console.measure(table, options=console.options.update(width=NATURAL)).maximum <= console.width:
            console.print(table)
            return
    _print_paragraphs(columns, cells)


def _filled(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns that have a value in any record; all of them if none has."""
    return [index for index in range(len(columns)) if any(line[index] for line in cells)] or list(range(len(columns)))


def _print_paragraphs(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # Of two columns the first is the value's name already.
    pairs = [[(line[0], line[1])] if len(columns) == 2 else list(zip(columns, line, strict=True)) for line in cells]
    width = max((len(name) for record in pairs for name, value in record if value), default=0)
    for number, record in enumerate(pairs):
        if number and len(columns) != 2:
            print()
        for name, value in record:
            if value or len(columns) == 2:
                print(f"{name:{width}}  {value}".rstrip())


def say(text: str) -> None:
    """Print a message for the user, on stderr."""
    print(text, file=sys.stderr)


def shown_time(value: Any) -> Any:
    """Return a moment as in the HTTP API, and any other value as it is."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
