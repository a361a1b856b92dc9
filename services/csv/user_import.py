"""UserImport: the import of one file, in batches of rows."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.errors import ContactMissing, PhoneTaken, Unacceptable
from domain.user import User, UserChanges
from repositories.user_dao import UserDao
from services.csv.columns import CsvColumns
from services.csv.errors import UnreadableCsv
from services.csv.import_report import ImportReport, Keep, May, RowOutcome, RowReport
from unitwork import TransactionProvider, execute_transaction
from unitwork.errors import UniqueViolation

COLUMNS: Final = ("email", "email_key", "phone", "display_name", "name_key", "role", "status")
LOOKS: Final = 3
"""Attempts at a batch while others register its contacts between the look-up and the insert."""
TAKEN_MEANWHILE: Final = "another account took the contact at the same moment"
MAX_CELL: Final = 131_072
"""Maximum characters of a cell in a field. A longer one contains other rows, because a quote is missing."""


Invite = Callable[[Sequence[User]], Awaitable[object]]
"""Invites the owners of new accounts, in the transaction that stores these."""


@dataclass(frozen=True, slots=True)
class Row:
    """A parsed record: the values of an account and the faults of dropped fields, or the reason why it is rejected."""

    line: int
    values: dict[str, Any] | None
    reason: str = ""


class Contacts:
    """E-mail keys and phone numbers that belong to accounts."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._phones: set[str] = set()

    def add(self, key: str | None, phone: str | None) -> None:
        if key is not None:
            self._keys.add(key)
        if phone is not None:
            self._phones.add(phone)

    def verdict(self, line: int, key: str | None, phone: str | None) -> RowReport:
        """Return the outcome of a row with these contacts."""
        if key in self._keys if key is not None else phone in self._phones:
            return RowReport(line, RowOutcome.SKIPPED)
        if phone is not None and phone in self._phones:
            return RowReport(line, RowOutcome.REJECTED, f"phone: {PhoneTaken()}")
        return RowReport(line, RowOutcome.IMPORTED)


class UserImport:
    """Parses records to rows, and stores them in batches, each as a whole or not at all. A dry run stores none."""

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        report: ImportReport,
        *,
        region: str | None,
        private_domains: Collection[str] = (),
        dry_run: bool,
        drop_invalid: Collection[str] = (),
        keep: Keep | None = None,
        may: May | None = None,
        invite: Invite | None = None,
    ) -> None:
        self._invite = invite
        self._transaction = transaction
        self._users = users
        self._report = report
        self._region = region
        self._private_domains = private_domains
        self._dry_run = dry_run
        self._may = may
        self._drop_invalid = frozenset(drop_invalid)
        self._keep = keep
        self._seen = Contacts()
        """Contacts of a dry run's rows so far, which are not in the database."""
        self._reasons: dict[str, str] = {}
        self._batch: Sequence[Row] = ()
        self._settled: dict[int, RowReport] = {}

    def row(self, mapping: CsvColumns, line: int, cells: Sequence[str]) -> Row:
        """Parse a record and validate it as an account.

        Missing cells at its end are empty; cells beyond the header must be empty. Raises `UnreadableCsv` for an
        oversized cell.
        """
        width = len(mapping.names)
        if any(cell.strip() for cell in cells[width:]):
            return self._refused(line, f"row: has {len(cells)} cells where the header has {width}")
        cells = [*cells[:width], *[""] * (width - len(cells))]
        if any(len(cells[column]) > MAX_CELL for column in mapping.taken):
            raise UnreadableCsv(line, f"field larger than field limit ({MAX_CELL}); check the quotes of this row")
        user, faults = self._judge(mapping.changes(cells))
        reason = "; also ".join(map(str, faults))
        if user is None:
            return self._refused(line, reason)
        # Unset attributes keep their defaults.
        values = {name: value for name in COLUMNS if (value := getattr(user, name)) is not None}
        return Row(line, values, f"stored without {reason}" if faults else "")

    def _judge(self, changes: UserChanges) -> tuple[User | None, list[Unacceptable]]:
        """Return the account, if it is valid, and all faults.

        The account reports one fault at a time, so each faulty field is left out of the next attempt.
        """
        faults: list[Unacceptable] = []
        rest: Any = dict(changes)
        while True:
            try:
                user = User.create(rest, region=self._region, private_domains=self._private_domains)
            except Unacceptable as fault:
                if not (isinstance(fault, ContactMissing) and faults):
                    faults.append(fault)
                if isinstance(fault, ContactMissing) or rest.pop(fault.field, None) is None:
                    return None, faults
            else:
                return user if all(fault.field in self._drop_invalid for fault in faults) else None, faults

    async def settle(self, rows: Sequence[Row]) -> list[RowReport]:
        """Store a batch of rows (a dry run checks it only), and return its outcomes in order, also in the report."""
        if self._may is not None:
            await self._may()
        fresh = [row for row in rows if row.values is not None]
        settled: dict[int, RowReport] = {}
        self._batch, self._settled = rows, settled
        for report in await (self._look(fresh) if self._dry_run else self._store(fresh)):
            settled[report.line] = report
        reports = self._reports(rows, settled)
        self._report.add(reports)
        if self._keep is not None and rows and (self._dry_run or not fresh):
            await self._keep(self._report)
        return reports

    def _reports(self, rows: Sequence[Row], settled: Mapping[int, RowReport]) -> list[RowReport]:
        return [settled.get(row.line) or RowReport(row.line, RowOutcome.REJECTED, row.reason) for row in rows]

    async def _kept(self, stored: Sequence[RowReport]) -> None:
        """Call `keep` with the progress, in the transaction that stores the rows."""
        if self._keep is None:
            return
        settled = self._settled | {report.line: report for report in stored}
        upto = [row for row in self._batch if row.line <= stored[-1].line]
        await self._keep(self._report.plus(self._reports(upto, settled)))

    async def _store(self, rows: Sequence[Row]) -> list[RowReport]:
        if not rows:
            return []

        async def write(_: object) -> list[RowReport]:
            if self._may is not None:
                await self._may()
            reports = await self._judged(rows, Contacts())
            new = [row for row, report in zip(rows, reports, strict=True) if report.outcome is RowOutcome.IMPORTED]
            users = [User(**(row.values or {})) for row in new]
            await self._users.add_many(users)
            if self._invite is not None and users:
                await self._invite(users)
            await self._kept(reports)
            return reports

        for _ in range(LOOKS):
            try:
                return await execute_transaction(self._transaction, write, name="import users", retry=3)
            except UniqueViolation:
                continue  # the next look-up finds the account that was created concurrently
        if len(rows) == 1:
            return [RowReport(rows[0].line, RowOutcome.REJECTED, TAKEN_MEANWHILE)]
        half = len(rows) // 2
        first = await self._store(rows[:half])
        self._settled |= {report.line: report for report in first}
        return [*first, *await self._store(rows[half:])]

    async def _look(self, rows: Sequence[Row]) -> list[RowReport]:
        return await self._judged(rows, self._seen) if rows else []

    async def _judged(self, rows: Sequence[Row], taken: Contacts) -> list[RowReport]:
        """Return the outcomes of the rows, given existing accounts and the contacts in `taken`, to which it adds the
        new ones.
        """
        contacts = [_contacts(row) for row in rows]
        holders = await self._users.with_contacts(
            {key for key, _ in contacts if key is not None}, {phone for _, phone in contacts if phone is not None}
        )
        for holder in holders:
            taken.add(holder.email_key, holder.phone)
        reports = []
        for row, (key, phone) in zip(rows, contacts, strict=True):
            report = taken.verdict(row.line, key, phone)
            if report.outcome is RowOutcome.IMPORTED:
                taken.add(key, phone)
                report = report._replace(reason=row.reason)
            reports.append(report)
        return reports

    def _refused(self, line: int, reason: str) -> Row:
        """Return a rejected row. Reasons are interned, as a file can have the same one a hundred thousand times."""
        return Row(line, None, self._reasons.setdefault(reason, reason))


def _contacts(row: Row) -> tuple[str | None, str | None]:
    values = row.values or {}
    return values.get("email_key"), values.get("phone")
