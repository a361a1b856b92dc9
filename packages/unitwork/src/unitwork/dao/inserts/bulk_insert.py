"""BulkInsert: store many new rows in few round trips, with a bounded number in memory at a time."""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Dialect, insert, inspect, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstanceState, Mapper

from unitwork.backends.copy import Copy, copy_records
from unitwork.backends.registry import backend_of
from unitwork.dao.inserts.copied_rows import Chunks, Records, copied_values
from unitwork.dao.inserts.one_row import first_version, hold, past_the_unit_of_work
from unitwork.rows.columns import check_columns
from unitwork.rows.new_rows import NewRows, has_expression
from unitwork.sessions.write_recorder import recorded
from unitwork.unit import UNIT

MIN_COPY_ROWS: Final = 1_000
"""Minimum number of rows for which COPY is faster despite its set-up."""


class BulkInsert:
    """Stores rows of one model through one session, in its transaction.

    Models are flushed, unless there are `MIN_COPY_ROWS` or more on PostgreSQL and all their values are known
    beforehand: then they are stored by COPY, which sends no ORM events. Mappings always bypass the ORM. The audit trail
    records only the number of rows that bypass the ORM.
    """

    def __init__(self, session: AsyncSession, model: type[Any]) -> None:
        self._session = session
        self._model = model
        self._options = session.sync_session.execution_options
        self._rows = NewRows(model, self._options)
        self._dialect: Dialect | None = None
        """The dialect of a session that may COPY, once there are enough rows; else None."""
        self._begun = False

    async def store(self, rows: Iterable[Any]) -> int:
        """Store the rows and return their number. Raises `ConstraintViolation`, `UnknownColumn`, TypeError."""
        await refuse_where_reading(self._session, self._rows)
        stored = 0
        chunks = Chunks(rows)
        while chunk := chunks.take():
            if stored == 0 and len(chunk) >= MIN_COPY_ROWS:
                self._dialect = await self._copying()
            if self._dialect is not None and set(map(type, chunk)) == {dict}:
                stored += await self._copied_mappings(chunk, chunks, self._dialect)
                continue
            for mappings, some in groupby(chunk, self._is_mapping):
                await (self._store_mappings if mappings else self._store_models)(list(some))
            stored += len(chunk)
        return stored

    async def _copying(self) -> Dialect | None:
        """Return PostgreSQL's dialect if the connection supports COPY (`unitwork.connections.listeners`); else None."""
        if UNIT not in self._options or not self._rows.simple:
            return None
        dialect = (await self._session.connection()).dialect
        return dialect if backend_of(dialect).copies else None

    def _is_mapping(self, row: Any) -> bool:
        if isinstance(row, self._model):
            return False
        if isinstance(row, Mapping):
            return True
        msg = f"a {type(row).__name__} is no row of {self._model.__name__}: give its models, or mappings by column"
        raise TypeError(msg)

    async def _store_models(self, models: Sequence[Any]) -> None:
        session = self._session
        if self._dialect is not None:
            await session.flush()
            states: list[InstanceState[Any]] = [inspect(model) for model in models]
            dicts = [state.dict for state in states]
            mapper: Mapper[Any] = inspect(self._model)
            related = set(mapper.relationships.keys())
            alone = all(state.mapper is mapper and _new_and_alone(state) for state in states)
            copied = alone and past_the_unit_of_work(mapper) and not any(map(related.intersection, dicts))
            columns = self._rows.columns(dicts, of_models=True) if copied else None
            counted, first = first_version(mapper)
            if columns is not None and counted is not None:
                columns[counted] = [first] * len(models)
            records = None if columns is None else copied_values(self._rows.table, columns, self._dialect)
            if columns is not None and records is not None:
                await self._copy(records)
                await recorded(session, self._model, len(models))
                self._rows.give_all(dicts, columns)
                if counted is not None:
                    for values in dicts:
                        values[self._rows.attributes[counted]] = first
                await session.run_sync(hold, models)
                return
        session.add_all(models)
        await session.flush()

    async def _store_mappings(self, mappings: Sequence[Mapping[str, Any]]) -> None:
        if not self._rows.simple:
            await self._store_by_mapping(mappings)
            return
        rows = [self._rows.of(mapping) for mapping in mappings]
        await self._session.flush()
        for expressions, some in groupby(rows, key=has_expression):
            if expressions:
                for row in some:
                    await self._session.execute(insert(self._rows.table).values(row))
                continue
            for _, alike in groupby(some, key=lambda row: row.keys()):
                await self._session.execute(insert(self._rows.table), list(alike))
        await recorded(self._session, self._model, len(rows))

    async def _store_by_mapping(self, mappings: Sequence[Mapping[str, Any]]) -> None:
        """Store mappings whose model spans several tables or shares one: SQLAlchemy distributes the values."""
        for mapping in mappings:
            check_columns(self._model, mapping)
        await self._session.flush()
        for expressions, some in groupby(mappings, key=has_expression):
            if expressions:
                for row in some:
                    await self._session.execute(insert(self._model).values(row))
                continue
            for _, alike in groupby(some, key=lambda row: row.keys()):
                await self._session.execute(insert(self._model), list(map(dict, alike)))

    async def _copied_mappings(self, chunk: Sequence[Mapping[str, Any]], chunks: Chunks, dialect: Dialect) -> int:
        """COPY this chunk and the following ones as far as they can be copied; return the number of rows stored."""
        records = Records(self._rows, chunk, chunks, dialect)
        await self._session.flush()
        if not records.any:
            await self._store_mappings(chunk)
            return len(chunk)
        await self._copy(records)
        await recorded(self._session, self._model, records.count)
        records.raise_error()
        return records.count

    async def _copy(self, records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]) -> None:
        table = self._rows.table
        if not self._begun:
            # asyncpg's adapter sends BEGIN with its first statement; a COPY before that would run outside the
            # transaction.
            await self._session.execute(text("SELECT 1"))
            self._begun = True
        await copy_records(self._session, Copy(table, self._rows.names, records))


async def refuse_where_reading(session: AsyncSession, rows: NewRows) -> None:
    """Raise `ReadOnlyTransaction` before values are generated for a write that would be refused."""
    await session.run_sync(lambda sync: sync.get_bind(rows.model, clause=insert(rows.table)))


def _new_and_alone(state: InstanceState[Any]) -> bool:
    """True if no session has stored the model or is about to."""
    return state.key is None and state.session is None
