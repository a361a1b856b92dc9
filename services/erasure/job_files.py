"""JobFiles: files that wait for a worker, without the rows of persons who are purged."""

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
from services.messaging.job_files import StoredFile
from services.messaging.user_import_job import USER_IMPORT

ABOVE: Final = 10_000_000
"""Numbers of parts that no file has, for the parts of the file that takes the place of one."""
AT_ONCE: Final = 8
"""Parts of one read: half a megabyte."""
UTF_8: Final = "utf-8"
BATCH: Final = 500


class JobFiles:
    """Needs a transaction. A file is read and written in pieces, and never held whole."""

    def __init__(self, jobs: JobDao, max_bytes: int) -> None:
        self._jobs = jobs
        self._max_bytes = max_bytes

    async def forget(self, persons: PersonalValues) -> None:
        """Empty the rows of these persons, and what jobs tell of them. Lines keep their numbers, so that an import goes
        on where it was. A worker that is at such a file loses it, and begins anew behind its last batch; a file that is
        still arriving is refused, and one that can't be read, or is of another kind of job, is dropped.
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
        """Whole where it is unreadable and holds one of them, or is still arriving."""
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
        """The lines of their rows. Raises `CsvError` leaves where it can't be read."""
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
        """What stands above the header."""
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
        """The text, its line ends made one, as the reader counts them."""
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
    """Lines as the reader counts them: `splitlines` knows other ends too."""
    lines = text.split("\n")
    return [*(f"{line}\n" for line in lines[:-1]), lines[-1]]


def _encoded(text: str) -> bytes:
    """As UTF-8; what was no text in the file is none here either."""
    try:
        return text.encode(UTF_8, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(UTF_8, "surrogatepass")
