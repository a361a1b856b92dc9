"""RowSql: evaluate SQL of a table's definition for one row: a CHECK, or the WHERE of an index; mostly text."""

import sqlite3
from contextlib import closing, suppress
from functools import cache
from typing import Any, Final

from sqlalchemy import Table, TextClause
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import SQLAlchemyError

from unitwork.testing.fakes.errors import NotFaked
from unitwork.testing.fakes.rows.expressions import Row, evaluate
from unitwork.testing.fakes.rows.values import Values

UNKNOWABLE: Final = object()
"""The result for SQL that neither this package nor SQLite can evaluate."""


class RowSql:
    """Evaluates SQL text with Python's own SQLite: one SELECT over a row of parameters, without a table or a file."""

    def __init__(self, table: Table, expression: Any) -> None:
        self._table = table
        self._expression = expression

    def __call__(self, values: Values) -> Any:
        """Return the value for the row, or `UNKNOWABLE`."""
        if not isinstance(self._expression, TextClause):
            with suppress(NotFaked):
                return evaluate(self._expression, Row(self._table, values))
        try:
            return _selected(_text(self._table, self._expression), values)
        except (sqlite3.Error, SQLAlchemyError):
            return UNKNOWABLE


@cache
def _text(table: Table, expression: Any) -> str:
    compiled = expression.compile(dialect=sqlite_dialect(), compile_kwargs={"literal_binds": True})
    row = ", ".join(f':{column.key} AS "{column.name}"' for column in table.columns)
    return f'SELECT {compiled} FROM (SELECT {row}) AS "{table.name}"'  # noqa: S608 - SQL of the model's own table


def _selected(text: str, values: Values) -> Any:
    plain = (int, float, str, bytes)
    given = {key: value if value is None or isinstance(value, plain) else str(value) for key, value in values.items()}
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(text, given).fetchone()[0]
