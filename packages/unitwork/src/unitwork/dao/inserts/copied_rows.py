"""Records: convert rows to the tuples that asyncpg's COPY takes, while it sends them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from sqlalchemy import Dialect, Enum, Table
from sqlalchemy.types import TypeDecorator, TypeEngine

from unitwork.models.utc_datetime import UTCDateTime
from unitwork.rows.new_rows import UNSET, Columns, NewRows

CHUNK_ROWS: Final = 2_000
"""Number of rows in memory at a time."""
MAX_COPY_ROWS: Final = 20_000
"""Maximum rows of one COPY. A COPY is one statement, so timeouts and cancellation apply to it as a whole."""


class Chunks:
    """Iterates over rows in chunks. One chunk can be put back."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = iter(rows)
        self._back: list[Any] = []

    def take(self) -> list[Any]:
        """Return the next chunk; empty at the end. Raises what the source of rows raises."""
        chunk, self._back = self._back or list(islice(self._rows, CHUNK_ROWS)), []
        return chunk

    def put_back(self, chunk: list[Any]) -> None:
        """Make `take` return this chunk next."""
        self._back = chunk


class Records:
    """Records of a chunk and the chunks that follow, up to the first chunk that can't be copied or raises.

    An error is kept for `raise_error`: raised inside the driver it would abort the COPY and appear as a database error.
    """

    def __init__(self, rows: NewRows, chunk: Sequence[Mapping[str, Any]], chunks: Chunks, dialect: Dialect) -> None:
        self._rows = rows
        self._chunks = chunks
        self._dialect = dialect
        self._error: Exception | None = None
        self.count = 0
        """The number of records given to the driver."""
        self._next = self._records(chunk)

    @property
    def any(self) -> bool:
        """True if the first chunk can be copied."""
        return self._next is not None

    async def __aiter__(self) -> AsyncIterator[tuple[Any, ...]]:
        while self._next is not None:
            self.count += len(self._next)
            for record in self._next:
                yield record
            self._next = None
            await asyncio.sleep(0)  # let other tasks run
            if self.count < MAX_COPY_ROWS:
                self._next = self._following()

    def raise_error(self) -> None:
        """Raise the error that the source of rows raised during the COPY, if any."""
        if self._error is not None:
            raise self._error

    def _following(self) -> list[tuple[Any, ...]] | None:
        try:
            chunk = self._chunks.take()
            if not chunk:
                return None
            records = self._records(chunk) if set(map(type, chunk)) == {dict} else None
            if records is None:
                self._chunks.put_back(chunk)
        except Exception as error:  # noqa: BLE001 - see the class
            self._error = error
            return None
        return records

    def _records(self, chunk: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]] | None:
        columns = self._rows.columns(chunk)
        return None if columns is None else copied_values(self._rows.table, columns, self._dialect)


def copied_values(table: Table, columns: Columns, dialect: Dialect) -> list[tuple[Any, ...]] | None:
    """Return records in the order of the columns; None when a column's type wraps its values in a SQL expression, which
    COPY can't send.
    """
    processed = []
    for key, values in columns.items():
        type_ = table.columns[key].type
        if _wraps(type_.dialect_impl(dialect)):
            return None
        processed.append(_processed(type_, values, dialect))
    return list(zip(*processed, strict=True))


def _processed(type_: TypeEngine[Any], values: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    process = type_.dialect_impl(dialect).bind_processor(dialect)
    if type_.should_evaluate_none and any(value is UNSET for value in values):
        return [None if value is UNSET else value if process is None else process(value) for value in values]
    if process is None:
        return values
    own = isinstance(type_, TypeDecorator) and not isinstance(
        type_, UTCDateTime
    )  # may convert equal values differently
    if not own and len(set(map(id, values))) == 1:  # a stamp, or a scalar default: convert it once
        return [process(values[0])] * len(values)
    if isinstance(type_, Enum):
        known = {value: process(value) for value in set(values)}
        return [known[value] for value in values]
    return [process(value) for value in values]


def _wraps(type_: TypeEngine[Any]) -> bool:
    """True if the type wraps its values in a SQL expression."""
    return bool(type_._has_bind_expression)  # noqa: SLF001 - as SQLAlchemy's compiler does
