"""StoredFile: a job's file, read back from the database."""

from repositories.job_dao import JobDao


class StoredFile:
    """A `ByteFile` over the job's parts."""

    def __init__(self, jobs: JobDao, job_id: int) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._number = 0

    async def read(self, _size: int, /) -> bytes:
        """The next part; empty behind the last one."""
        part = await self._jobs.part(self._job_id, self._number)
        self._number += 1
        return part or b""
