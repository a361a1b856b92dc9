"""copy_records: PostgreSQL's COPY as a statement of a session, in its transaction.

The driver's own COPY bypasses SQLAlchemy: nothing begins a transaction for it, its errors aren't translated, and a
cancellation breaks the connection. Here it is sent like any other statement, with all of that.
"""

from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession

from unitwork.backends.driver_errors import raise_sent
from unitwork.backends.postgresql import has_session
from unitwork.held_connection import SENDER_OPTION

UNFIT: Final = "a value is not of its column's type"


@dataclass(frozen=True, eq=False)
class Copy:
    """Records for the named columns of a table, in the driver's values; they may be generated while they are sent."""

    table: Table
    columns: Sequence[str]
    records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]]

    def send(self, cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
        """Send the records instead of the dialect's `do_execute`."""
        adapter = context.root_connection.connection.dbapi_connection
        try:
            adapter.run_async(self._copy)
        except (TypeError, OverflowError):  # from the driver's encoders, with the value in the message
            raise context.dialect.loaded_dbapi.Error(UNFIT) from None
        except Exception as error:  # noqa: BLE001 - the adapter recognises the driver's errors
            raise_sent(context.root_connection, error)

    async def _copy(self, driver: Any) -> None:
        if not has_session(driver):
            await driver.reload_schema_state()  # a caller's connection may have cached former types of the columns
        await driver.copy_records_to_table(
            self.table.name, schema_name=self.table.schema, columns=self.columns, records=self.records
        )


async def copy_records(session: AsyncSession, copy: Copy) -> None:
    """Store the records, all or none. A statement must have been sent in this transaction before, because the adapter
    sends BEGIN with the first one. Raises the `ConstraintViolation` they cause.
    """
    connection = await session.connection()
    prepare = connection.dialect.identifier_preparer
    columns = ", ".join(prepare.quote(name) for name in copy.columns)
    statement = f"COPY {prepare.format_table(copy.table)} ({columns}) FROM STDIN"
    await connection.exec_driver_sql(statement, execution_options={SENDER_OPTION: copy})
