"""UserImportJob: run a CSV import after its request was answered."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from domain import Job, JobStatus, OutboxMessage
from domain.errors import NotAllowed
from domain.job import PART
from repositories.errors import JobNotFound
from repositories.job_dao import JobDao
from services.authority import Authority
from services.csv.columns import column_mapping
from services.csv.delimiter import Delimiter
from services.csv.encoding import ByteFile, DecodedText, text_encoding
from services.csv.errors import CsvError, CsvTooLarge
from services.csv.import_report import ImportReport, Rejection
from services.csv.user_csv_service import UserCsvService
from services.messaging.delivery import Delivery
from services.messaging.handlers import in_steps
from services.messaging.outbox_service import OutboxService
from services.messaging.stored_file import StoredFile
from unitwork import TransactionProvider
from unitwork.models import utc_now

USER_IMPORT: Final = "users.import"
"""The job's kind, and the topic of the message that runs it."""
REPORTED: Final = 1000
"""Maximum rejected rows, and maximum rows without a dropped field, that the job stores; the others are only counted."""


class UserImportJob:
    """Runs imports as jobs. The file is stored in the database, where any worker can read it, until the job ends.

    Each batch is committed with the job's progress: an interrupted job continues after its last batch, and counts no
    row twice. It acts as the user that started it, and stops once that user loses the right to import.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        jobs: JobDao,
        outbox: OutboxService,
        users: UserCsvService,
        authority: Authority,
        max_bytes: int,
    ) -> None:
        self._authority = authority
        self._transaction = transaction
        self._jobs = jobs
        self._outbox = outbox
        self._users = users
        self._max_bytes = max_bytes

    async def start(
        self,
        file: ByteFile,
        *,
        columns: Sequence[str] = (),
        region: str | None = None,
        delimiter: Delimiter | None = None,
        encoding: str | None = None,
        skip_lines: int = 0,
        drop_invalid: Sequence[str] = (),
        start_line: int = 1,
        dry_run: bool = False,
        invite: bool = False,
    ) -> Job:
        """Store the file and a message that runs its import; `columns` are `FIELD=COLUMN`.

        Raises `CsvTooLarge`, and other subclasses of `CsvError` for invalid columns or an invalid encoding; then no job
        is created.
        """
        column_mapping(columns)
        options = {
            "columns": list(columns),
            "region": region,
            "delimiter": None if delimiter is None else delimiter.value,
            "encoding": None if encoding is None else text_encoding(encoding),
            "skip_lines": skip_lines,
            "drop_invalid": list(drop_invalid),
            "dry_run": dry_run,
            "invite": invite,
        }
        job = await self._jobs.add(
            Job(kind=USER_IMPORT, status=JobStatus.RECEIVING, options=options, position=start_line)
        )
        try:
            await self._store(job.id, file)
            async with self._transaction(name="start import"):
                if await self._jobs.received(job.id):
                    await self._outbox.append(USER_IMPORT, {"job_id": str(job.id)})
                else:  # cancelled while the file was being uploaded
                    await self._jobs.drop_file(job.id)
        except Exception:
            with suppress(JobNotFound):  # a concurrent purge deleted the job, as its file contained a purged person
                await self._jobs.purge(job.id)  # its parts go with it
            raise
        return await self._jobs.get(job.id)

    @in_steps
    async def run(self, message: OutboxMessage, delivery: Delivery) -> None:
        """Handle a `USER_IMPORT` message: start or continue the job, until it is at its end or handed over."""
        job_id = int(message.payload["job_id"])
        if not await self._jobs.claim(job_id):
            async with delivery.last_step():
                return
        job = await self._jobs.get(job_id)
        report = _report_of(job)
        error: str | None = None
        try:
            await self._import(job, report, delivery)
        except CsvError as refusal:
            error = str(refusal)
        except NotAllowed:
            error = f"who started this import may import no longer: rows from line {report.next_line} on are not in"
        async with delivery.last_step():
            await self._jobs.finish(
                job_id, progress=progress_of(report), position=report.next_line, error=error, at=utc_now()
            )

    async def _import(self, job: Job, report: ImportReport, delivery: Delivery) -> None:
        async def may() -> None:
            delivery.hand_over_if_due()
            await self._authority.check()

        async def keep(now: ImportReport) -> None:
            # The message first, as whoever cancels a job locks them in this order.
            await delivery.progress()
            await self._jobs.advance(job.id, progress=progress_of(now), position=now.next_line)

        options = job.options
        delimiter = options.get("delimiter")
        await self._users.import_file(
            DecodedText(StoredFile(self._jobs, job.id), max_bytes=self._max_bytes, encoding=options.get("encoding")),
            columns=column_mapping(options.get("columns", ())),
            region=options.get("region"),
            delimiter=None if delimiter is None else Delimiter(delimiter),
            skip_lines=options.get("skip_lines", 0),
            drop_invalid=options.get("drop_invalid", ()),
            start_line=job.position,
            dry_run=bool(options.get("dry_run")),
            invite=bool(options.get("invite")),
            report=report,
            keep=keep,
            may=may,
        )

    async def _store(self, job_id: int, file: ByteFile) -> None:
        number, held, size = 0, bytearray(), 0
        while piece := await file.read(PART):
            size += len(piece)
            if size > self._max_bytes:
                raise CsvTooLarge(self._max_bytes)
            held += piece
            while len(held) >= PART:
                await self._jobs.add_part(job_id, number, bytes(held[:PART]))
                del held[:PART]
                number += 1
        if held:
            await self._jobs.add_part(job_id, number, bytes(held))


def progress_of(report: ImportReport) -> dict[str, Any]:
    """Return the progress as stored with the job, for polling clients."""
    counts = {"rows": report.rows, "imported": report.imported, "skipped": report.skipped}
    return {
        **counts,
        "rejected_count": len(report.rejected),
        "rejected": _listed(report.rejected),
        "dropped_count": len(report.dropped),
        "dropped": _listed(report.dropped),
        "columns": report.columns,
        "unused_columns": report.unused_columns[:REPORTED],
    }


def _listed(rows: Sequence[Rejection]) -> list[dict[str, Any]]:
    return [{"line": row.line, "reason": row.reason} for row in rows[:REPORTED]]


def _report_of(job: Job) -> ImportReport:
    progress: Mapping[str, Any] = job.progress
    return ImportReport(
        rows=progress.get("rows", 0),
        imported=progress.get("imported", 0),
        skipped=progress.get("skipped", 0),
        rejected=_counted(progress, "rejected"),
        dropped=_counted(progress, "dropped"),
        next_line=job.position,
    )


def _counted(progress: Mapping[str, Any], name: str) -> list[Rejection]:
    """Return the stored rejections, padded to their total number."""
    listed = [Rejection(row["line"], row["reason"]) for row in progress.get(name, ())]
    return listed + [Rejection(0, "")] * (progress.get(f"{name}_count", 0) - len(listed))
