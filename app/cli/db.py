"""`gatehouse db`: the schema's revision."""

from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, say
from containers import Container

application = typer.Typer(no_args_is_help=True, help="The database schema.")


@container_command(application, "upgrade")
async def upgrade(container: Container, revision: Annotated[str, typer.Argument(help="How far.")] = "head") -> None:
    """Bring the schema up to date."""
    schema = container.schema()
    before = await schema.current()
    await schema.upgrade(revision)
    say(f"schema: {before or 'empty'} → {await schema.current()}")


@container_command(application, "check")
async def check(container: Container, json: JsonFlag = False) -> int:
    """Compare the database with the newest revision and with the models. Exit code 4 when they differ."""
    schema = container.schema()
    current = await schema.current()
    differences = [str(difference) for difference in await schema.differences()] if current == schema.head else []
    healthy = current == schema.head and not differences
    if json:
        print_json({"current": current, "head": schema.head, "differences": differences, "healthy": healthy})
    elif current != schema.head:
        say(f"schema is at {current or 'nothing'}, the newest is {schema.head}; run: gatehouse db upgrade")
    elif differences:
        say("the database differs from the models:")
        for difference in differences:
            say(f"  {difference}")
    else:
        say(f"schema is at {current}, the newest, and agrees with the models")
    return ExitCode.DONE if healthy else ExitCode.UNHEALTHY
