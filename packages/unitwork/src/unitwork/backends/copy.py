"""copy_records: PostgreSQL's COPY as one statement of a session, in its transaction.

The driver's own COPY comes past SQLAlchemy: nothing begins a transaction for it, its errors have no names, and a
cancellation tears it. Here it takes a statement's way: begun, carried, doomed and named like any other.
"""

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.backends.driver_errors import raise_sent
from unitwork.backends.postgresql import has_session

COPY_OPTION: Final = "unitwork_copy"
"""The execution option under which a statement carries its `Copy`."""


UNFIT: Final = "a value is not of its column's type"


@dataclass(frozen=True, eq=False)
class Copy:
    """Records for the named columns of a table, as the driver takes them; it may take them while it sends."""

    table: Table
    columns: Sequence[str]
    records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]

    def send(self, cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
        """In the place of the dialect's `do_execute`."""
        adapter = context.root_connection.connection.dbapi_connection
        try:
            adapter.run_async(self._copy)
        except (TypeError, OverflowError):  # of the driver's encoders, with the value in it
            raise context.dialect.loaded_dbapi.Error(UNFIT) from None
        except Exception as error:  # noqa: BLE001 - the adapter knows which are the driver's
            raise_sent(context.root_connection, error)

    async def _copy(self, driver: Any) -> None:
        if not has_session(driver):
            await driver.reload_schema_state()  # a caller's may remember types that its columns had
        await driver.copy_records_to_table(
            self.table.name, schema_name=self.table.schema, columns=self.columns, records=self.records
        )


async def copy_records(session: AsyncSession, copy: Copy) -> None:
    """Store the records, all or none. A statement must have been sent in this transaction before: the driver's adapter
    begins it with the first. Raises the `ConstraintViolation` they break.
    """
    connection = await session.connection()
    prepare = connection.dialect.identifier_preparer
    columns = ", ".join(prepare.quote(name) for name in copy.columns)
    statement = f"COPY {prepare.format_table(copy.table)} ({columns}) FROM STDIN"
    await connection.exec_driver_sql(statement, execution_options={COPY_OPTION: copy})
