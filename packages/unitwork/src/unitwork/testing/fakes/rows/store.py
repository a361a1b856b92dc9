"""Store: the rows of every model, and View: the rows as one unit sees them.

A unit sees what is committed at each statement, and its own writes. One unit writes at a time: the first write of
another unit waits until that unit has ended. A unit nested in another (`REQUIRES_NEW`) doesn't wait, as that would be a
deadlock; writing a row or a unique value that the outer one has written raises `LockNotAvailable`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Column, Table

from unitwork.errors import LockNotAvailable, UniqueViolation
from unitwork.testing.fakes.rows.constraints import UNIQUE, Unique, check_row, unique_keys
from unitwork.testing.fakes.rows.table import Identity, StoredTable
from unitwork.testing.fakes.rows.values import Values

Written = dict[Table, dict[Identity, Values | None]]
"""The rows that a unit has stored; None for a deleted one."""

TURN_TIMEOUT_SECONDS: Final = 30.0
"""Seconds that a unit waits for another one that writes."""


class Store:
    """The committed rows. Several event loops may use it, one after the other."""

    def __init__(self) -> None:
        self.tables: Final[dict[Table, StoredTable]] = {}
        self.committed: Final[dict[Table, dict[Identity, Values]]] = {}
        self.commits = 0
        self._by_model: dict[type[Any], StoredTable] = {}
        self._numbers: dict[Column[Any], int] = {}
        self._writers: list[View] = []

    def table(self, model: type[Any]) -> StoredTable:
        """Return the model's table, registering it on the first call. Raises `NotFaked`."""
        table = self._by_model.get(model)
        if table is None:
            table = self._by_model[model] = StoredTable(model)
            self.tables[table.table] = table
            self.committed[table.table] = {}
        return table

    def next_number(self, column: Column[Any]) -> int:
        """Return the next value of an autoincrementing column: above every existing one, never repeated."""
        highest = max((values[column.key] for values in self.committed[column.table].values()), default=0)
        self._numbers[column] = max(self._numbers.get(column, 0), highest) + 1
        return self._numbers[column]

    async def take_turn(self, view: "View") -> None:
        """Wait until no other unit writes. Raises `LockNotAvailable` on timeout."""
        if view in self._writers:
            return
        try:
            async with asyncio.timeout(TURN_TIMEOUT_SECONDS):
                while (writer := next((one for one in self._writers if one not in view.around), None)) is not None:
                    await writer.done.wait()
        except TimeoutError:
            msg = f"another block writes, and has not ended within {TURN_TIMEOUT_SECONDS:g} s"
            raise LockNotAvailable(msg) from None
        self._writers.append(view)

    def end_turn(self, view: "View") -> None:
        """Allow the next unit to write."""
        if view in self._writers:
            self._writers.remove(view)
        view.done.set()
        view.done = asyncio.Event()


class View:
    """The rows as one unit sees them. `around` are the units that enclose it."""

    def __init__(self, store: Store, around: "tuple[View, ...]" = ()) -> None:
        self.store: Final = store
        self.around: Final = around
        self.done = asyncio.Event()
        """Set when the unit lets the next one write."""
        self._written: Written = {}
        self._found: dict[Unique, dict[tuple[object, ...], Identity]] = {}
        self._found_at = -1

    def rows(self, table: Table) -> Mapping[Identity, Values]:
        """Return every row of the table."""
        rows: dict[Identity, Values | None] = {**self.store.committed[table], **self._written.get(table, {})}
        return {identity: values for identity, values in rows.items() if values is not None}

    def get(self, table: Table, identity: Identity) -> Values | None:
        """Return the row; None without one."""
        written = self._written.get(table, {})
        return written[identity] if identity in written else self.store.committed[table].get(identity)

    def insert(self, table: StoredTable, values: Values) -> Identity:
        """Store a new row. Raises `ConstraintViolation`."""
        check_row(table.table, values)
        identity = table.identity(values)
        self._put(table.table, identity, values, before=None)
        return identity

    def update(self, table: StoredTable, identity: Identity, values: Values) -> None:
        """Replace a row's values. Raises `ConstraintViolation`."""
        check_row(table.table, values)
        self._put(table.table, identity, values, before=self.get(table.table, identity))

    def delete(self, table: Table, identity: Identity) -> None:
        """Remove a row."""
        self._put(table, identity, None, before=self.get(table, identity))

    def mark(self) -> Written:
        """Return the writes so far, for `restore`."""
        return {table: dict(rows) for table, rows in self._written.items()}

    def restore(self, mark: Written) -> None:
        """Discard the writes since the mark."""
        self._written = {table: dict(rows) for table, rows in mark.items()}
        self._found_at = -1

    def commit(self) -> None:
        """Make the writes visible to other units."""
        for table, rows in self._written.items():
            committed = self.store.committed[table]
            for identity, values in rows.items():
                if values is None:
                    committed.pop(identity, None)
                else:
                    committed[identity] = values
        if self._written:
            self.store.commits += 1
        self._written = {}

    def _put(self, table: Table, identity: Identity, values: Values | None, *, before: Values | None) -> None:
        for other in self.around:
            if identity in other._written.get(table, ()):  # noqa: SLF001 - same class
                raise _held()
        changed = list(self._changed_keys(table, values, before))
        for unique, key in changed:
            if key is not None and key in self._index(table, unique):
                raise UniqueViolation(constraint=unique.name, columns=unique.columns, sqlstate=UNIQUE)
        for unique, key in changed:
            index, old = self._index(table, unique), None if before is None else unique.key(before)
            if old is not None:
                index.pop(old, None)
            if key is not None:
                index[key] = identity
        self._written.setdefault(table, {})[identity] = values

    def _changed_keys(
        self, table: Table, values: Values | None, before: Values | None
    ) -> Iterator[tuple[Unique, tuple[object, ...] | None]]:
        for unique in unique_keys(table):
            key = None if values is None else unique.key(values)
            if before is not None and unique.key(before) == key:
                continue
            for other in self.around:
                if key is not None and any(unique.key(row) == key for row in other._own(table)):  # noqa: SLF001
                    raise _held()
            yield unique, key

    def _own(self, table: Table) -> Iterator[Values]:
        return (values for values in self._written.get(table, {}).values() if values is not None)

    def _index(self, table: Table, unique: Unique) -> dict[tuple[object, ...], Identity]:
        """Return the row of each unique key; recomputed after another unit's commit."""
        if self._found_at != self.store.commits:
            self._found, self._found_at = {}, self.store.commits
        if unique not in self._found:
            keys = ((unique.key(values), identity) for identity, values in self.rows(table).items())
            self._found[unique] = {key: identity for key, identity in keys if key is not None}
        return self._found[unique]


def _held() -> LockNotAvailable:
    msg = "the block around this one has written the same row or value, and this one would wait for it for ever"
    return LockNotAvailable(msg)
