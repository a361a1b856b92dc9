"""`gatehouse db`: the schema's revision."""

from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.database_file import NoDatabaseFile, require_file
from app.cli.exit_codes import ExitCode
from app.cli.output import print_json, say
from containers import Container
from unitwork import Fit, Hazard, StoredRevision

application = typer.Typer(no_args_is_help=True, help="The database schema.")


@container_command(application, "upgrade", makes_database=True)
async def upgrade(
    container: Container,
    revision: Annotated[str, typer.Argument(help="How far.")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Print PostgreSQL's SQL instead; needs no server.")] = False,
    since: Annotated[str, typer.Option(help="With --sql: from which revision on; base is an empty database.")] = "base",
    json: JsonFlag = False,
) -> None:
    """Bring the schema up to date."""
    schema = container.schema()
    if sql:
        text = schema.sql(revision, since)
        print_json({"sql": text}) if json else print(text, end="")
        return
    stored = await schema.stored()
    before = stored.revision
    if revision == "head" and schema.fit(stored) is Fit.NEWER:
        # An older release, started again while a newer one is rolled out: there is nothing for it to do.
        say(f"schema: {before} is newer than this release's {schema.head}, which works with it")
    else:
        if before is not None and schema.fit(stored) is Fit.BEHIND:
            _warn(schema.hazards(before))
        await schema.upgrade(revision)
    _print_move(before, await schema.current(), json)


@container_command(application, "downgrade")
async def downgrade(
    container: Container,
    revision: Annotated[str, typer.Argument(help="How far: a revision, -1 for one step, base for all of it.")],
    json: JsonFlag = False,
) -> None:
    """Take the schema back. What later revisions hold is lost."""
    schema = container.schema()
    before = await schema.current()
    await schema.downgrade(revision)
    _print_move(before, await schema.current(), json)


@container_command(application, "revision")
async def revision(
    container: Container,
    message: Annotated[str, typer.Option("--message", "-m", help="What is different, in a few words.")],
    json: JsonFlag = False,
) -> None:
    """Draft the migration from the database, which is at the newest revision, to the models. Read it before use."""
    path = await container.schema().draft(message)
    print_json({"path": str(path)}) if json else print(path)


@container_command(application, "check", makes_database=True)
async def check(container: Container, json: JsonFlag = False) -> int:
    """Compare the database with the newest revision and with the models. Exit code 4 when they differ, unless the
    database is newer and this release works with it.
    """
    schema = container.schema()
    try:
        require_file(container)
        stored = await schema.stored()
    except NoDatabaseFile as error:
        say(error.fact)
        stored = StoredRevision(None)
    current, head, fit = stored.revision, schema.head, schema.fit(stored)
    differences = [str(difference) for difference in await schema.differences()] if fit is Fit.CURRENT else []
    healthy = fit in {Fit.CURRENT, Fit.NEWER} and not differences
    if json:
        print_json({"current": current, "head": head, "differences": differences, "healthy": healthy})
    elif fit is Fit.NEWER:
        say(f"schema is at {current}, newer than this release's {head}, which works with it")
    elif fit is Fit.AHEAD:
        say(f"schema is at {current}, newer than this release's {head}, which doesn't work with it: install the newer")
    elif fit is Fit.BEHIND:
        say(f"schema is at {current or 'nothing'}, the newest is {head}; run: gatehouse db upgrade")
    elif differences:
        say("the database differs from the models:")
        for difference in differences:
            say(f"  {difference}")
    else:
        say(f"schema is at {current}, the newest, and agrees with the models")
    return ExitCode.DONE if healthy else ExitCode.UNHEALTHY


@container_command(application, "lint", makes_database=True)
async def lint(
    container: Container,
    since: Annotated[str, typer.Option(help="Look at the migrations after this revision.")] = "base",
    json: JsonFlag = False,
) -> int:
    """Name what in the migrations would stop or break other processes on PostgreSQL, with what to do instead. Exit
    code 1 when there is anything.
    """
    found = container.schema().hazards(since)
    if json:
        lines = [
            {"revision": one.revision, "rule": one.rule, "statement": one.statement, "recipe": one.recipe}
            for one in found
        ]
        print_json({"hazards": lines})
    elif found:
        _warn(found)
    else:
        say("no migration stops or breaks other processes")
    return ExitCode.FAILED if found else ExitCode.DONE


def _warn(hazards: list[Hazard]) -> None:
    for hazard in hazards:
        say(f"migration {hazard.revision}, {hazard.rule}: {hazard.statement}")
        say(f"  {hazard.recipe}")


def _print_move(before: str | None, after: str | None, json: bool) -> None:
    if json:
        print_json({"before": before, "current": after})
    else:
        say(f"schema: {before or 'empty'} → {after or 'empty'}")
