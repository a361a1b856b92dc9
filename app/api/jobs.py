"""`/v1/jobs`: the state of work that continues after its request was answered."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import JobServiceDep
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


class JobsQuery(BaseModel):
    """The query of `GET /v1/jobs`."""

    model_config = ConfigDict(extra="forbid")

    unfinished: bool = Field(default=False, description="jobs that have not ended, alone")
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=4096)


class JobsBody(BaseModel):
    """One page of jobs, newest first."""

    items: list[JobBody]
    next_cursor: str | None
    has_more: bool


@router.get("")
async def list_jobs(
    query: Annotated[JobsQuery, Query()], jobs: JobServiceDep, request: Request, response: Response
) -> JobsBody:
    """One page of the jobs, newest first. The header Link names the next page."""
    page = await jobs.page(unfinished=query.unfinished, limit=query.limit, cursor=query.cursor)
    if page.next_cursor is not None:
        url = request.url.include_query_params(cursor=page.next_cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    items = [JobBody.of(job) for job in page.items]
    return JobsBody(items=items, next_cursor=page.next_cursor, has_more=page.next_cursor is not None)


@router.delete("/{job_id}")
async def cancel_job(job_id: UserId, jobs: JobServiceDep) -> JobBody:
    """Cancel a job and return it: it has failed, and says so in `error`. What it counts as done stays. A job that has
    ended is returned as it is.
    """
    return JobBody.of(await jobs.cancel(job_id, by="an admin"))


@router.get("/{job_id}")
async def get_job(job_id: UserId, jobs: JobServiceDep, response: Response) -> JobBody:
    """Return the progress of a job. The answer has a Retry-After until the job has ended."""
    see_everything()  # a worker writes it, and what the client reads next is to have what the job says
    job = await jobs.get(job_id)
    if job.finished_at is None:
        response.headers["Retry-After"] = RETRY_AFTER
    return JobBody.of(job)
