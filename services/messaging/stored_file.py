"""StoredFile: a job's file, read back from the database."""

from repositories.job_dao import JobDao


class StoredFile:
    """A `ByteFile` over the job's parts, which reads `at_once` of them by one statement."""

    def __init__(self, jobs: JobDao, job_id: int, *, at_once: int = 1) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._at_once = at_once
        self._number = 0

    async def read(self, _size: int, /) -> bytes:
        """Return the next parts, joined; empty after the last one."""
        first, self._number = self._number, self._number + self._at_once
        if self._at_once == 1:
            return await self._jobs.part(self._job_id, first) or b""
        return b"".join(await self._jobs.parts(self._job_id, range(first, self._number)))
