"""JobDao: jobs, and the files they work on."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select

from domain.job import Job, JobFilePart, JobStatus
from repositories.base_dao import BaseDao
from repositories.errors import JobNotFound


class JobDao(BaseDao[Job]):
    """Jobs by their id, besides what every DAO can do."""

    not_found = JobNotFound

    async def add_part(self, job_id: int, number: int, content: bytes) -> None:
        """Store a piece of the job's file."""
        async with self._session() as session:
            await session.execute(insert(JobFilePart).values(job_id=job_id, number=number, content=content))

    async def part(self, job_id: int, number: int) -> bytes | None:
        """A piece of the job's file; None behind the last one."""
        statement = select(JobFilePart.content).where(JobFilePart.job_id == job_id, JobFilePart.number == number)
        async with self._reading() as session:
            return await session.scalar(statement)

    async def drop_file(self, job_id: int) -> None:
        """The job needs its file no longer."""
        async with self._session() as session:
            await session.execute(delete(JobFilePart).where(JobFilePart.job_id == job_id))

    async def forget(self, limit: int, *, finished_before: datetime) -> int:
        """Delete jobs that ended long ago; how many."""
        old = (
            select(Job.id)
            .where(Job.status.in_((JobStatus.DONE, JobStatus.FAILED)), Job.finished_at < finished_before)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._session() as session:
            ids: Sequence[int] = (await session.scalars(old)).all()
            if ids:
                await session.execute(delete(JobFilePart).where(JobFilePart.job_id.in_(ids)))
                await session.execute(delete(Job).where(Job.id.in_(ids)))
        return len(ids)
