"""`gatehouse outbox`: lists unfinished messages, retries them, and runs the relay."""

from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, print_table, say
from app.cli.until_told import until_told
from containers import Container
from domain import OutboxMessage
from services.messaging.outage import refuse_hopeless
from services.messaging.publisher import BrokerRefused, BrokerUnavailable

application = typer.Typer(no_args_is_help=True, help="Messages that follow a commit.")

MOMENTS = ("due_at", "not_before", "published_at", "attempted_at", "leased_until", "failed_at", "parked_at")
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
    topic: Annotated[str | None, typer.Option(help="With --parked: only those of this topic.")] = None,
) -> None:
    """Have messages tried again at once, as if for the first time."""
    if (message is None) is not parked or (topic is not None and not parked):
        msg = "give the id of a message, or --parked, the latter with --topic for one topic alone"
        raise typer.BadParameter(msg)
    if message is None:
        say(f"tried again: {await container.outbox_service().retry_parked(topic)}")
        return
    await container.outbox_service().retry(message)
    say("tried again: 1")


@container_command(application, "show")
async def show(
    container: Container, message: Annotated[int, typer.Argument(help="Its id.")], json: JsonFlag = False
) -> None:
    """Show a message that isn't done: what it carries, whose it is, what became of it."""
    found = await container.outbox_service().get(message)
    record = _record(found) | {
        "created_by": str(found.created_by),
        "request_id": found.request_id,
        **{name: _moment(getattr(found, name)) for name in MOMENTS},
        "error": found.error,
    }
    if json:
        print_json(record)
        return
    print_table(("field", "value"), [{"field": name, "value": value} for name, value in record.items()])


@container_command(application, "discard")
async def discard(container: Container, message: Annotated[int, typer.Argument(help="Its id.")]) -> None:
    """Delete a message that isn't done, for good. A job that it runs has failed then."""
    discarded = await container.outbox_service().discard(message)
    say(f"discarded: {discarded.topic} of {_moment(discarded.created_at)}")


@container_command(application, "relay")
async def relay(
    container: Container,
    once: Annotated[bool, typer.Option("--once", help="What is due now, and stop.")] = False,
) -> int:
    """Take messages to the broker until interrupted or terminated. Any number of relays may run at once."""
    relay = container.outbox_relay()
    try:
        await refuse_hopeless(container.broker())
    except BrokerRefused as error:
        say(f"error: {error}")
        return ExitCode.FAILED
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
        "created_at": _moment(message.created_at),
        "publications": message.publications,
        "attempts": message.attempts,
        "why": message.why_not_done(),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
