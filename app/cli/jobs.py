"""`gatehouse jobs`: lists jobs, and cancels one."""

from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.output import print_json, print_table, say
from containers import Container
from domain import Job

application = typer.Typer(no_args_is_help=True, help="Work that continues after its request was answered.")

COLUMNS = ("id", "kind", "status", "created_at", "updated_at", "rows", "error")


@container_command(application, "list")
async def list_jobs(
    container: Container,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    json: JsonFlag = False,
) -> None:
    """List the jobs, the newest first."""
    page = await container.job_service().page(unfinished=unfinished, limit=limit, cursor=cursor)
    records = [_record(job) for job in page.items]
    if json:
        print_json({"items": records, "next_cursor": page.next_cursor})
        return
    print_table(COLUMNS, records)
    if page.next_cursor is not None:
        say(f"more: --cursor {page.next_cursor}")


@container_command(application, "cancel")
async def cancel(container: Container, job: Annotated[int, typer.Argument(help="Its id.")]) -> None:
    """End a job. What it has stored stays; a worker that runs it stores nothing more."""
    cancelled = await container.job_service().cancel(job, by="an operator")
    say(f"{cancelled.status}: {cancelled.error}" if cancelled.error else f"it had ended before: {cancelled.status}")


def _record(job: Job) -> dict[str, Any]:
    return {
        "id": str(job.id),
        "kind": job.kind,
        "status": job.status.value,
        "created_at": job.created_at.isoformat().replace("+00:00", "Z"),
        "updated_at": job.updated_at.isoformat().replace("+00:00", "Z"),
        "rows": job.progress.get("rows"),
        "error": job.error,
    }
