"""JobService: the jobs of the system, to be looked at and cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain import Job
from repositories.job_dao import JobDao
from repositories.outbox_dao import OutboxDao
from unitwork import TransactionProvider
from unitwork.models import utc_now


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first; `next_cursor` is None on the last page."""

    items: Sequence[Job]
    next_cursor: str | None


class JobService:
    """Lists and cancels jobs. Starting one is its kind's own, such as `UserImportJob.start`."""

    def __init__(self, transaction: TransactionProvider, jobs: JobDao, outbox: OutboxDao) -> None:
        self._transaction = transaction
        self._jobs = jobs
        self._outbox = outbox

    async def get(self, job_id: int) -> Job:
        """Return the job with its progress. Raises `JobNotFound`."""
        return await self._jobs.get(job_id)

    async def page(self, *, unfinished: bool = False, limit: int = 50, cursor: str | None = None) -> JobPage:
        """Return one page of jobs, newest first. Raises `InvalidCursor`."""
        query = self._jobs.query()
        if unfinished:
            query = query.is_null("finished_at")
        page = await query.order_by("-id").after(cursor, limit)
        return JobPage(page.items, page.next_cursor)

    async def cancel(self, job_id: int, *, by: str) -> Job:
        """End the job as failed, with its message and its file, and return it; `by` says on whose behalf. What it has
        committed stays. A worker that runs it commits no further step. A job that has ended is returned as it is.
        Raises `JobNotFound`.
        """
        async with self._transaction(name="cancel job"):
            # The message first: a worker's step locks them in this order.
            await self._outbox.drop({"job_id": [job_id]})
            await self._jobs.fail(job_id, error=f"cancelled by {by}; what was done before stays", at=utc_now())
            return await self._jobs.get(job_id)
