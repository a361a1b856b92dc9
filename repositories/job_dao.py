"""JobDao: jobs, and the files they process."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, insert, or_, select

from domain.job import ERROR_LENGTH, Job, JobFilePart, JobStatus
from repositories.errors import JobNotFound
from unitwork.dao import BaseDao
from unitwork.errors import StaleVersion

LEASE: Final = timedelta(seconds=60)
"""Time without progress after which another worker may take over a job."""


class JobDao(BaseDao[Job]):
    """Jobs by id."""

    not_found = JobNotFound

    async def received(self, job_id: int) -> None:
        """Mark the job's file as complete."""
        await self.update().eq("id", job_id).set(status=JobStatus.WAITING).execute()

    async def claim(self, job_id: int, *, now: datetime) -> bool:
        """Start the job, or take it over after `LEASE`; False if another worker runs it, or it has ended."""
        free = or_(
            Job.status == JobStatus.WAITING,
            and_(Job.status == JobStatus.RUNNING, Job.updated_at < now - LEASE),
        )
        return await self.update().eq("id", job_id).where(free).set(status=JobStatus.RUNNING).execute() > 0

    async def advance(self, job_id: int, *, progress: Mapping[str, Any], position: int) -> None:
        """Record the progress up to `position`. Raises `StaleVersion` if another worker has taken over."""
        changed = self.update().eq("id", job_id).eq("status", JobStatus.RUNNING).lt("position", position)
        if not await changed.set(progress=progress, position=position).execute():
            raise StaleVersion

    async def finish(self, job_id: int, *, progress: Mapping[str, Any], error: str | None, at: datetime) -> None:
        """Mark the job as ended, with an error or without, and delete its file. Needs a transaction."""
        status = JobStatus.DONE if error is None else JobStatus.FAILED
        error = None if error is None else error[:ERROR_LENGTH]
        await (
            self.update().eq("id", job_id).set(status=status, progress=progress, error=error, finished_at=at).execute()
        )
        await self.drop_file(job_id)

    async def add_part(self, job_id: int, number: int, content: bytes) -> None:
        """Store a part of the job's file."""
        async with self._session() as session:
            await session.execute(insert(JobFilePart).values(job_id=job_id, number=number, content=content))

    async def part(self, job_id: int, number: int) -> bytes | None:
        """Return a part of the job's file; None after the last one."""
        statement = select(JobFilePart.content).where(JobFilePart.job_id == job_id, JobFilePart.number == number)
        async with self._reading() as session:
            return await session.scalar(statement)

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
