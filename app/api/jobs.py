"""`/v1/jobs`: the state of work that continues after its request was answered."""

from datetime import datetime
from typing import Any, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel

from app.api.dependencies import UserImportJobDep
from app.api.identifiers import IdText, UserId
from domain import Job, JobStatus
from unitwork import see_everything

router = APIRouter(prefix="/jobs", tags=["jobs"])

RETRY_AFTER = "1"


class RejectedRow(BaseModel):
    """A row that was not imported: the line of the file it begins on, and why."""

    line: int
    reason: str


class ImportProgress(BaseModel):
    """`rows` = `imported` + `skipped` + `rejected_count`; `dropped` are imported rows that were stored without a
    field. Of both the first thousand are listed.
    """

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    rejected_count: int = 0
    rejected: list[RejectedRow] = []
    dropped_count: int = 0
    dropped: list[RejectedRow] = []
    columns: dict[str, str] = {}
    unused_columns: list[str] = []


class JobBody(BaseModel):
    """A job. `error` says why it failed; what `progress` counts is done all the same."""

    id: IdText
    kind: str
    status: JobStatus
    progress: ImportProgress
    error: str | None
    created_at: datetime
    created_by: IdText
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> Self:
        fields: dict[str, Any] = {name: getattr(job, name) for name in cls.model_fields}
        return cls.model_validate(fields)


@router.get("/{job_id}")
async def get_job(job_id: UserId, jobs: UserImportJobDep, response: Response) -> JobBody:
    """Return the progress of a job. The answer has a Retry-After until the job has ended."""
    see_everything()  # a worker writes it, and what the client reads next is to have what the job says
    job = await jobs.get(job_id)
    if job.finished_at is None:
        response.headers["Retry-After"] = RETRY_AFTER
    return JobBody.of(job)
