"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain import User

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
    """A table on a terminal, tab-separated lines with a header elsewhere. Text is shown as it is, never as markup."""
    cells = [["" if row.get(column) is None else str(row[column]) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            print("\t".join(line))
        return
    table = Table(*columns, header_style="bold")
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)


def say(text: str) -> None:
    """A word to the person, on stderr."""
    print(text, file=sys.stderr)


def _moment(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
