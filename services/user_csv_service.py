"""UserCsvService: accounts in from a CSV file, and out to one."""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from database import TransactionProvider
from database.errors import UniqueViolation
from domain.errors import PhoneTaken, Unacceptable
from domain.user import User, UserChanges
from repositories.user_dao import UserDao
from services.csv_columns import HEADER, CsvColumns, neutral_cell
from services.csv_errors import UnreadableCsv
from services.csv_reader import TextFile, records
from services.import_report import ImportReport, Rejection

BATCH: Final = 500
"""Rows of one transaction: stored together, or not at all."""


@dataclass(frozen=True)
class _Row:
    line: int
    changes: UserChanges


class UserCsvService:
    """Imports and exports accounts, in constant memory."""

    def __init__(self, transaction: TransactionProvider, users: UserDao) -> None:
        self._transaction = transaction
        self._users = users

    async def import_file(
        self,
        file: TextFile,
        *,
        columns: Mapping[str, str] | None = None,
        region: str | None = None,
        progress: Callable[[ImportReport], None] | None = None,
    ) -> ImportReport:
        """Create an account for each row whose e-mail address (without one: phone number) is new.

        `columns` maps fields to the file's columns, see `CsvColumns.map`; `region` reads national phone numbers.
        Rows that break a rule are reported and don't stop the others; `progress` is told after each batch.
        Raises `CsvError` leaves when the file as a whole can't be used.
        """
        report = ImportReport()
        batch: list[_Row] = []
        mapping: CsvColumns | None = None
        async for line, cells in records(file):
            if mapping is None:
                mapping = CsvColumns.map([cell.removeprefix("\ufeff") for cell in cells], columns or {})
                continue
            report.rows += 1
            try:
                if len(cells) != len(mapping.header):
                    reason = f"has {len(cells)} cells where the header has {len(mapping.header)}"
                    raise Unacceptable("row", reason)
                changes = mapping.changes(cells)
                User.create(changes, region=region)
            except Unacceptable as refusal:
                report.rejected.append(Rejection(line, str(refusal)))
                continue
            batch.append(_Row(line, changes))
            if len(batch) == BATCH:
                await self._store(batch, region, report)
                batch = []
                if progress is not None:
                    progress(report)
        if mapping is None:
            raise UnreadableCsv(1, "the file is empty; its first line names the columns")
        await self._store(batch, region, report)
        report.rejected.sort(key=lambda rejection: rejection.line)
        if progress is not None:
            progress(report)
        return report

    async def export(self) -> AsyncGenerator[str, None]:
        """The accounts that aren't deleted, as CSV text in pieces, oldest first. Holds a connection until its end:
        close a loop that is left early with `contextlib.aclosing`.
        """
        yield _csv_text([HEADER])
        lines: list[Sequence[str]] = []
        async with aclosing(self._users.query().order_by("id").stream(chunk=BATCH)) as users:
            async for user in users:
                cells = (str(user.id), user.email, user.phone, user.display_name, user.role, user.status)
                lines.append([neutral_cell(cell or "") for cell in (*cells, user.created_at.isoformat())])
                if len(lines) == BATCH:
                    yield _csv_text(lines)
                    lines = []
        yield _csv_text(lines)

    async def _store(self, rows: Sequence[_Row], region: str | None, report: ImportReport) -> None:
        if not rows:
            return
        batch = ImportReport()
        try:
            async with self._transaction(name="import users"):
                await self._users.add_many(await self._new_users(rows, region, batch))
        except UniqueViolation:
            # Somebody registered one of these contacts between our look and our write: look again, row by row.
            if len(rows) > 1:
                for row in rows:
                    await self._store([row], region, report)
            else:
                report.rejected.append(Rejection(rows[0].line, "another account took the contact at the same moment"))
            return
        report.imported += batch.imported
        report.skipped += batch.skipped
        report.rejected += batch.rejected

    async def _new_users(self, rows: Sequence[_Row], region: str | None, report: ImportReport) -> list[User]:
        drafts = [(row, User.create(row.changes, region=region)) for row in rows]
        holders = await self._users.with_contacts(
            {user.email_key for _, user in drafts if user.email_key}, {user.phone for _, user in drafts if user.phone}
        )
        keys = {holder.email_key for holder in holders}
        phones = {holder.phone for holder in holders}
        new: list[User] = []
        for row, user in drafts:
            if user.email_key in keys if user.email_key else user.phone in phones:
                report.skipped += 1
            elif user.phone and user.phone in phones:
                report.rejected.append(Rejection(row.line, f"phone: {PhoneTaken()}"))
            else:
                new.append(user)
                keys.add(user.email_key)
                phones.add(user.phone)
        report.imported = len(new)
        return new


def _csv_text(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue()
