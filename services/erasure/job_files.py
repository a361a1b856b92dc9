"""JobFiles: removes the rows of purged persons from files that wait for a worker."""

import codecs
import io
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from domain import Job, JobStatus
from domain.job import PART
from repositories.job_dao import JobDao
from services.csv.columns import CsvColumns, column_mapping
from services.csv.delimiter import Delimiter
from services.csv.encoding import DecodedText
from services.csv.errors import CsvError
from services.csv.reader import records
from services.erasure.personal_values import PersonalValues
from services.messaging.stored_file import StoredFile
from services.messaging.user_import_job import USER_IMPORT

ABOVE: Final = 10_000_000
"""Offset of the part numbers of a rewritten file, above those of any original, until it replaces the original."""
AT_ONCE: Final = 8
"""Number of parts in one read: half a megabyte."""
UTF_8: Final = "utf-8"
BATCH: Final = 500


class JobFiles:
    """Editor of the files of unfinished jobs. Needs a transaction. Files are processed piece by piece."""

    def __init__(self, jobs: JobDao, max_bytes: int) -> None:
        self._jobs = jobs
        self._max_bytes = max_bytes

    async def forget(self, persons: PersonalValues) -> None:
        """Blank the rows of these persons in waiting files, and remove their values from the jobs' progress and errors.

        Line numbers stay the same, so that an import continues where it was. A worker that runs such a job loses it; it
        is restarted after its last batch. A job is deleted instead if its file can't be edited: it contains one of the
        persons and is unreadable, of another kind or still being uploaded.
        """
        for job in await self._jobs.unfinished():
            theirs: Sequence[range] | None = None
            if job.kind == USER_IMPORT:
                with suppress(CsvError):
                    theirs = await self._lines(job, persons)
            if theirs is None or (theirs and job.status is JobStatus.RECEIVING):
                await self._refuse(job, persons)
            elif theirs:
                await self._rewrite(job, theirs)
            await self._retell(job, persons)
        last = 0
        while batch := await self._jobs.ended(last, BATCH):
            for job in batch:
                await self._retell(job, persons)
            last = batch[-1].id

    async def _refuse(self, job: Job, persons: PersonalValues) -> None:
        """Delete the job if its file is still being uploaded, or contains a value of the persons as text."""
        text = ""
        readable = codecs.getincrementaldecoder(UTF_8)("replace")
        file = StoredFile(self._jobs, job.id, at_once=AT_ONCE)
        while piece := await file.read(PART):
            text = text[-200:] + readable.decode(piece).replace("\0", "")
            if persons.in_text(text) or job.status is JobStatus.RECEIVING:
                await self._jobs.drop([job.id])
                return

    async def _retell(self, job: Job, persons: PersonalValues) -> None:
        told = {"progress": job.progress, "error": job.error}
        without = persons.without(told)
        if without != told:
            await self._jobs.retell(job.id, **without)

    async def _lines(self, job: Job, persons: PersonalValues) -> Sequence[range]:
        """Return the line ranges of the persons' rows. Raises leaves of `CsvError` for an unreadable file."""
        theirs: list[range] = []
        begun: int | None = None
        first, mapping = 0, None
        delimiter, region = job.options.get("delimiter"), job.options.get("region")
        rows = records(
            self._text(job),
            delimiter=None if delimiter is None else Delimiter(delimiter),
            skip_lines=job.options.get("skip_lines", 0),
        )
        async for line, cells in rows:
            if begun is not None:
                theirs.append(range(begun, line))
            if not first:
                first = line
                with suppress(CsvError):
                    mapping = CsvColumns.map(cells, column_mapping(job.options.get("columns", ())), line=line)
            made = () if mapping is None else map(str, mapping.changes(cells).values())
            begun = line if persons.in_row([*cells, *made], region=region) else None
        if begun is not None:
            theirs.append(range(begun, sys.maxsize))
        notes = [range(line, line + 1) async for line, text in self._notes(job, first) if persons.in_text(text)]
        return [*notes, *theirs]

    async def _notes(self, job: Job, header: int) -> AsyncIterator[tuple[int, str]]:
        """Yield the lines above the header, with their numbers."""
        line, text = 1, ""
        if header <= 1:
            return
        async for piece in self._pieces(job):
            *whole, text = (text + piece).split("\n")
            for note in whole:
                if line == header:
                    return
                yield line, note
                line += 1

    async def _rewrite(self, job: Job, theirs: Sequence[range]) -> None:
        number, held, line = ABOVE, bytearray(), 1
        async for piece in self._pieces(job):
            for part in _lines_of(piece):
                ends = part.endswith("\n")
                if not any(line in lines for lines in theirs):
                    held += _encoded(part)
                elif ends:
                    held += b"\n"
                line += ends
                while len(held) >= PART:
                    await self._jobs.add_part(job.id, number, bytes(held[:PART]))
                    del held[:PART]
                    number += 1
        await self._jobs.add_part(job.id, number, bytes(held))
        await self._jobs.take_away(job.id, encoding=UTF_8, parts=ABOVE)

    async def _pieces(self, job: Job) -> AsyncIterator[str]:
        """Yield the file's text with universal newlines, which is how the CSV reader counts lines."""
        endings = io.IncrementalNewlineDecoder(None, translate=True)
        file = self._text(job)
        while text := await file.read(PART):
            yield endings.decode(text)
        yield endings.decode("", final=True)

    def _text(self, job: Job) -> DecodedText:
        encoding = job.options.get("encoding")
        return DecodedText(
            StoredFile(self._jobs, job.id, at_once=AT_ONCE), max_bytes=self._max_bytes, encoding=encoding
        )


def _lines_of(text: str) -> Sequence[str]:
    """Split at line feeds only, as the CSV reader does; `splitlines` splits at other characters too."""
    lines = text.split("\n")
    return [*(f"{line}\n" for line in lines[:-1]), lines[-1]]


def _encoded(text: str) -> bytes:
    """Encode as UTF-8; bytes that were not decodable in the original file are restored unchanged."""
    try:
        return text.encode(UTF_8, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(UTF_8, "surrogatepass")
