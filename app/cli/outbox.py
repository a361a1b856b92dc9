"""`gatehouse outbox`: lists unfinished messages, retries them, and runs the relay."""

from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, print_table, say
from app.cli.until_told import until_told
from containers import Container
from domain import OutboxMessage
from services.messaging.publisher import BrokerUnavailable

application = typer.Typer(no_args_is_help=True, help="Messages that follow a commit.")

COLUMNS = ("id", "topic", "created_at", "publications", "attempts", "why")


@container_command(application, "list")
async def list_messages(
    container: Container,
    parked: Annotated[
        bool | None,
        typer.Option("--parked/--waiting", help="Only those that nobody tries any more, or only the others."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    json: JsonFlag = False,
) -> None:
    """List the messages that aren't done, the oldest first, and why not."""
    service = container.outbox_service()
    page = await service.list(parked=parked, limit=limit, cursor=cursor)
    records = [_record(message) for message in page.items]
    if json:
        lag = await service.lag()
        oldest = None if lag.oldest is None else lag.oldest.isoformat()
        print_json(
            {
                "items": records,
                "next_cursor": page.next_cursor,
                "waiting": lag.waiting,
                "parked": lag.parked,
                "oldest": oldest,
            }
        )
        return
    print_table(COLUMNS, records)
    if page.next_cursor is not None:
        say(f"more: --cursor {page.next_cursor}")


@container_command(application, "retry")
async def retry(
    container: Container,
    message: Annotated[int | None, typer.Argument(help="Its id.")] = None,
    parked: Annotated[bool, typer.Option("--parked", help="All that nobody tries any more.")] = False,
) -> None:
    """Have messages tried again at once, as if for the first time."""
    if (message is None) is not parked:
        msg = "give the id of a message, or --parked"
        raise typer.BadParameter(msg)
    if message is None:
        say(f"tried again: {await container.outbox_service().retry_parked()}")
        return
    await container.outbox_service().retry(message)
    say("tried again: 1")


@container_command(application, "relay")
async def relay(
    container: Container,
    once: Annotated[bool, typer.Option("--once", help="What is due now, and stop.")] = False,
) -> int:
    """Take messages to the broker until interrupted or terminated. Any number of relays may run at once."""
    relay = container.outbox_relay()
    if not once:
        await until_told(relay.run())
        return ExitCode.DONE
    relayed = 0
    try:
        while count := await relay.relay():
            relayed += count
    except BrokerUnavailable as error:
        say(f"error: {error}")
        return ExitCode.FAILED
    say(f"relayed: {relayed}")
    return ExitCode.DONE


def _record(message: OutboxMessage) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "topic": message.topic,
        "payload": message.payload,
        "created_at": message.created_at.isoformat().replace("+00:00", "Z"),
        "publications": message.publications,
        "attempts": message.attempts,
        "why": message.why_not_done(),
    }
