"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs."""

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
"""Columns of a terminal in which everything has room: to measure by."""
USER_COLUMNS = ("id", "email", "phone", "display_name", "role", "status", "created_at", "deleted_at")


def user_record(user: User) -> dict[str, Any]:
    """An account as HTTP answers it: ids are text, times RFC 3339."""
    record: dict[str, Any] = {name: getattr(user, name) for name in USER_COLUMNS}
    record |= {"version": user.version, "updated_at": user.updated_at}
    record |= {name: str(getattr(user, name)) for name in ("id", "created_by", "updated_by")}
    return {name: _moment(value) for name, value in record.items()}


def print_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A table on a terminal, tab-separated lines with a header elsewhere. Text is shown as it is, never as markup.

    Nothing is cut: where the terminal is too narrow columns without a value are left out, and where that isn't enough
    each record is a paragraph of `column  value` lines, whose long values the terminal itself wraps.
    """
    cells = [["" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            print("\t".join(line))
        return
    # NO_COLOR (no-color.org) and a terminal that knows no sequences: plain text, not even bold.
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
    """The columns that have a value in any record; all where none has one."""
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
    """A word to the person, on stderr."""
    print(text, file=sys.stderr)


def _moment(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
