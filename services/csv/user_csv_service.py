"""UserCsvService: import accounts from a CSV file, and export them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Final

from domain.user import User
from repositories.user_dao import UserDao
from services.csv.columns import HEADER, CsvColumns
from services.csv.delimiter import Delimiter
from services.csv.errors import CsvError, NoUsableColumn, TooManyCsvRows, UnknownCsvColumn, UnreadableCsv
from services.csv.import_report import ImportReport, Keep, May, RowReports
from services.csv.reader import TextFile, records
from services.csv.text import SPREADSHEET_LINE, csv_text, neutral_cell
from services.csv.user_import import Row, UserImport
from services.messaging.mails import Mails
from unitwork import TransactionProvider

BATCH: Final = 500
"""Rows of one transaction: stored together or not at all."""
PAGE: Final = 500
"""Accounts in one read of an export."""
BREATH: Final = 20
"""Rows to parse before other tasks of the event loop may run; it takes some milliseconds."""
NOTES: Final = 20
"""Records after the first one in which a header is searched."""
MAX_ROWS: Final = 500_000


class UserCsvService:
    """Imports and exports accounts, in constant memory.

    `max_rows` limits the rows of one import. `private_domains` are non-public domains whose e-mail addresses are
    accepted.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        max_rows: int = MAX_ROWS,
        private_domains: Collection[str] = (),
        mails: Mails | None = None,
    ) -> None:
        self._mails = mails
        self._transaction = transaction
        self._users = users
        self._max_rows = max_rows
        self._private_domains = private_domains

    async def import_file(
        self,
        file: TextFile,
        *,
        columns: Mapping[str, str] | None = None,
        region: str | None = None,
        delimiter: Delimiter | None = None,
        skip_lines: int = 0,
        drop_invalid: Collection[str] = (),
        start_line: int = 1,
        dry_run: bool = False,
        invite: bool = False,
        progress: Callable[[ImportReport], None] | None = None,
        row_reports: RowReports | None = None,
        report: ImportReport | None = None,
        keep: Keep | None = None,
        may: May | None = None,
    ) -> ImportReport:
        """Create an account for each row whose e-mail address (without one: phone number) is new.

        `columns` maps fields to the file's columns, see `CsvColumns.map`. `region` is the default region of phone
        numbers. Without `delimiter`, it is detected from the header, which follows `skip_lines` lines. Rows that break
        a rule are reported with all their faults, and don't stop the others; a row whose only faults are in fields of
        `drop_invalid` is stored without them. Rows without any text are ignored. Rows before `start_line` are skipped,
        except the header. A dry run reports the same, and stores nothing. With `invite` the owners of new accounts are
        mailed invitations, once their batch is committed.

        After each batch `progress` is called with the counts, and `row_reports` with the outcome of each row. `report`
        is updated after each batch: when this raises or is cancelled it holds the work done, and its `next_line` is the
        `start_line` to continue from. `keep` is called with it in the transaction of each batch; `may` is called there
        to check permission. Raises what `may` raises, and leaves of `CsvError` when the file, or its rest, is unusable.
        """
        report = ImportReport() if report is None else report
        users = UserImport(
            self._transaction,
            self._users,
            report,
            region=region,
            private_domains=self._private_domains,
            dry_run=dry_run,
            drop_invalid=drop_invalid,
            keep=keep,
            may=may,
            invite=self._mails.invite if invite and self._mails is not None else None,
        )
        batch: list[Row] = []
        mapping: CsvColumns | None = None
        taken = 0

        async def settle() -> None:
            reports = await users.settle(batch)
            batch.clear()
            if row_reports is not None:
                row_reports(reports)
            if progress is not None:
                progress(report)

        async with aclosing(records(file, delimiter=delimiter, skip_lines=skip_lines)) as lines:
            async for line, cells in lines:
                if mapping is None:
                    try:
                        mapping = CsvColumns.map(cells, columns or {}, line=line)
                    except (NoUsableColumn, UnknownCsvColumn) as error:
                        error.header = await _header_in(lines, columns or {})
                        raise
                    report.columns, report.unused_columns = mapping.used, mapping.unused
                    continue
                if line < start_line or not any(cell.strip() for cell in cells):
                    continue
                if taken == self._max_rows:
                    await settle()
                    raise TooManyCsvRows(line, self._max_rows)
                taken += 1
                batch.append(users.row(mapping, line, cells))
                if len(batch) == BATCH:
                    await settle()
                elif taken % BREATH == 0:
                    await asyncio.sleep(0)
        if mapping is None:
            beyond = f" beyond the {skip_lines} lines that are left out" if skip_lines else ""
            raise UnreadableCsv(1, f"the file is empty{beyond}; its first line names the columns")
        await settle()
        return report

    async def export(self, *, plain: bool = False, may: May | None = None) -> AsyncGenerator[str, None]:
        """Yield the accounts that aren't deleted as pieces of CSV text, in the order of their ids. The first piece is
        the header, preceded by the line `sep=,` for spreadsheets unless the export is `plain`.

        Each piece is a separate read: no connection is held in between, however slow the reader is. Accounts created
        after the first piece are left out; changes made meanwhile appear if their piece is read later. `may` is called
        before each piece, and an exception of it ends the export.
        """
        if may is not None:
            await may()
        newest = await self._users.query().order_by("-id").first()
        yield ("" if plain else SPREADSHEET_LINE) + csv_text([HEADER])
        if newest is None:
            return
        page = self._users.query().le("id", newest.id).order_by("id").limit(PAGE)
        users = await page.all()
        while users:
            yield csv_text([_cells(user) for user in users])
            if may is not None:
                await may()
            users = await page.gt("id", users[-1].id).all() if len(users) == PAGE else []


async def _header_in(lines: AsyncGenerator[tuple[int, list[str]], None], columns: Mapping[str, str]) -> int | None:
    """Return the line of the first following record that has column names: programs write notes above theirs. Else
    None.
    """
    with suppress(CsvError):
        looked = 0
        async for line, cells in lines:
            with suppress(CsvError):
                CsvColumns.map(cells, columns, line=line)
                return line
            looked += 1
            if looked == NOTES:
                break
    return None


def _cells(user: User) -> list[str]:
    cells = (str(user.id), user.email, user.phone, user.display_name, user.role, user.status)
    return [neutral_cell(cell or "") for cell in (*cells, user.created_at.isoformat())]
