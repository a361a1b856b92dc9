"""`gatehouse audit`: exports the audit trail of changes and security events."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from app.cli.command import container_command
from app.cli.output import say
from app.cli.output_file import private_file
from containers import Container
from unitwork.audit import AuditEntry

application = typer.Typer(no_args_is_help=True, help="The audit trail.")


@application.callback()
def group() -> None:
    """The audit trail."""


@container_command(application, "export")
async def export(
    container: Container,
    events: Annotated[
        bool, typer.Option("--events", help="Security events alone: logins refused, limits reached, ….")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="From this moment on, in UTC.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A new file, readable by you alone; stdout otherwise.")] = None,
) -> None:
    """Write the trail as JSON, an entry on each line, the oldest first."""
    moment = None if since is None else since.replace(tzinfo=UTC)
    if output is None:
        await _write(container, sys.stdout, events=events, since=moment)
        sys.stdout.flush()
        return
    with private_file(output) as file:
        count = await _write(container, file, events=events, since=moment)
    say(f"{count} entries written to {output}")


async def _write(container: Container, file: TextIO, *, events: bool, since: datetime | None) -> int:
    count = 0
    async for entry in container.audit_service().export(events=events, since=since):
        file.write(json.dumps(entry_record(entry), ensure_ascii=False, default=str) + "\n")
        count += 1
    return count


def entry_record(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry of the trail for JSON."""
    return {
        "id": str(entry.id),
        "created_at": entry.created_at.isoformat().replace("+00:00", "Z"),
        "created_by": str(entry.created_by),
        "action": entry.action.value,
        "event": entry.event,
        "record_type": entry.record_type,
        "record_id": None if entry.record_id is None else str(entry.record_id),
        "version": entry.record_version,
        "request_id": entry.request_id,
        "row_count": entry.row_count,
        "changes": entry.changes,
    }
