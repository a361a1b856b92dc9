"""JobDao: jobs, and the files they process."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update

from domain.job import ERROR_LENGTH, Job, JobFilePart, JobStatus
from repositories.errors import JobNotFound
from unitwork.dao import BaseDao
from unitwork.errors import StaleVersion


class JobDao(BaseDao[Job]):
    """Jobs by id."""

    not_found = JobNotFound

    async def received(self, job_id: int) -> bool:
        """Mark the job's file as complete; False if the job was cancelled, or purged, meanwhile."""
        mine = self.update().eq("id", job_id).eq("status", JobStatus.RECEIVING)
        return await mine.set(status=JobStatus.WAITING).execute() > 0

    async def claim(self, job_id: int) -> bool:
        """Start the job, or continue it; False if it has ended. For the worker that has the job's message: that it is
        one worker at a time is the message's lease.
        """
        begun = self.update().eq("id", job_id).in_("status", (JobStatus.WAITING, JobStatus.RUNNING))
        return await begun.set(status=JobStatus.RUNNING).execute() > 0

    async def advance(self, job_id: int, *, progress: Mapping[str, Any], position: int) -> None:
        """Record the progress up to `position`. Raises `StaleVersion` if another worker has taken over."""
        changed = self.update().eq("id", job_id).eq("status", JobStatus.RUNNING).lt("position", position)
        if not await changed.set(progress=progress, position=position).execute():
            raise StaleVersion

    async def finish(
        self, job_id: int, *, progress: Mapping[str, Any], position: int, error: str | None, at: datetime
    ) -> None:
        """Record the job's end at `position`, with `error` if it failed, and delete its file. Needs a transaction.
        Raises `StaleVersion` if another worker has advanced further, or the job was withdrawn (`take_away`).
        """
        status = JobStatus.DONE if error is None else JobStatus.FAILED
        error = None if error is None else error[:ERROR_LENGTH]
        mine = self.update().eq("id", job_id).eq("status", JobStatus.RUNNING).le("position", position)
        if not await mine.set(status=status, progress=progress, error=error, finished_at=at).execute():
            raise StaleVersion
        await self.drop_file(job_id)

    async def fail(self, job_id: int, *, error: str, at: datetime) -> bool:
        """End the job as failed, wherever it is, and delete its file; what it has committed stays. False if it has
        ended before. Needs a transaction.
        """
        unfinished = self.update().eq("id", job_id).is_null("finished_at")
        values = {"status": JobStatus.FAILED, "error": error[:ERROR_LENGTH], "finished_at": at}
        if not await unfinished.set(**values).execute():
            return False
        await self.drop_file(job_id)
        return True

    async def drop_of(self, user_ids: Collection[int]) -> Sequence[int]:
        """Delete the jobs that these accounts started, in any status, with their files; return the jobs' ids."""
        async with self._session() as session:
            ids = (await session.scalars(select(Job.id).where(Job.created_by.in_(user_ids)).with_for_update())).all()
        await self.drop(ids)
        return ids

    async def drop(self, job_ids: Collection[int]) -> None:
        """Delete jobs with their files."""
        async with self._session() as session:
            if job_ids:
                await session.execute(delete(JobFilePart).where(JobFilePart.job_id.in_(job_ids)))
                await session.execute(delete(Job).where(Job.id.in_(job_ids)))

    async def unfinished(self) -> Sequence[Job]:
        """Return and lock the jobs that have not ended, and so may have a file. No worker can advance them then."""
        waiting = select(Job).where(Job.finished_at.is_(None)).order_by(Job.id).with_for_update()
        async with self._session() as session:
            return (await session.scalars(waiting)).all()

    async def ended(self, after: int, limit: int) -> Sequence[Job]:
        """Return jobs that have ended, with ids above `after`, ordered by id."""
        return await self.query().is_not_null("finished_at").gt("id", after).order_by("id").limit(limit).all()

    async def retell(self, job_id: int, **values: Any) -> None:
        """Set columns of the job."""
        await self.update().eq("id", job_id).set(**values).execute()

    async def take_away(self, job_id: int, *, encoding: str, parts: int) -> None:
        """Replace the job's file by the parts numbered from `parts` on, in the new encoding. A running job waits for a
        worker again, from its current position; the previous worker has lost it.
        """
        job = await self.get(job_id)
        status = JobStatus.WAITING if job.status is JobStatus.RUNNING else job.status
        await self.retell(job_id, options={**job.options, "encoding": encoding}, status=status)
        async with self._session() as session:
            mine = JobFilePart.job_id == job_id
            await session.execute(delete(JobFilePart).where(mine, JobFilePart.number < parts))
            moved = update(JobFilePart).where(mine).values(number=JobFilePart.number - parts)
            await session.execute(moved.execution_options(synchronize_session=False))

    async def add_part(self, job_id: int, number: int, content: bytes) -> None:
        """Store a part of the job's file."""
        async with self._session() as session:
            await session.execute(insert(JobFilePart).values(job_id=job_id, number=number, content=content))

    async def part(self, job_id: int, number: int) -> bytes | None:
        """Return a part of the job's file; None after the last one."""
        statement = select(JobFilePart.content).where(JobFilePart.job_id == job_id, JobFilePart.number == number)
        async with self._reading() as session:
            return await session.scalar(statement)

    async def parts(self, job_id: int, numbers: Iterable[int]) -> Sequence[bytes]:
        """Return the existing parts of the job's file with these numbers, in order."""
        statement = select(JobFilePart.content).where(JobFilePart.job_id == job_id, JobFilePart.number.in_(numbers))
        async with self._reading() as session:
            return (await session.scalars(statement.order_by(JobFilePart.number))).all()

    async def drop_file(self, job_id: int) -> None:
        """Delete the job's file."""
        async with self._session() as session:
            await session.execute(delete(JobFilePart).where(JobFilePart.job_id == job_id))

    async def forget(self, limit: int, *, finished_before: datetime) -> int:
        """Delete at most `limit` jobs that ended, or whose upload was abandoned, before this moment; return their
        number. Needs a transaction.
        """
        receiving = Job.status == JobStatus.RECEIVING
        old = (
            select(Job.id)
            .where(or_(Job.finished_at < finished_before, and_(receiving, Job.created_at < finished_before)))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._session() as session:
            ids: Sequence[int] = (await session.scalars(old)).all()
            if ids:
                await session.execute(delete(JobFilePart).where(JobFilePart.job_id.in_(ids)))
                await session.execute(delete(Job).where(Job.id.in_(ids)))
        return len(ids)
