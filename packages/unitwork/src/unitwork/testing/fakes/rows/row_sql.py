"""RowSql: SQL over one row that stands in a table's definition, mostly as text: a CHECK, the WHERE of an index."""

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
"""The answer where neither memory nor SQLite knows this SQL."""


class RowSql:
    """Text can't be evaluated here, so the SQLite that comes with Python is asked: one SELECT over one row of its own,
    no table, no file.
    """

    def __init__(self, table: Table, expression: Any) -> None:
        self._table = table
        self._expression = expression

    def __call__(self, values: Values) -> Any:
        """The value for the row, or `UNKNOWABLE`."""
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
    return f'SELECT {compiled} FROM (SELECT {row}) AS "{table.name}"'  # noqa: S608 - the model's own words


def _selected(text: str, values: Values) -> Any:
    plain = (int, float, str, bytes)
    given = {key: value if value is None or isinstance(value, plain) else str(value) for key, value in values.items()}
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute(text, given).fetchone()[0]
