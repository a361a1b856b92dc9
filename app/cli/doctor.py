"""`gatehouse doctor`: checks the set-up; reports each fault with its fix."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import typer

from app.cli import surroundings
from app.cli.command import JsonFlag
from app.cli.contact_check import stored_contacts
from app.cli.database_file import NoDatabaseFile, require_file
from app.cli.exit_codes import ExitCode
from app.cli.finding import Finding, Verdict, fault, ok, warning
from app.cli.output import print_json, print_table
from app.cli.signals import run_to_its_end
from app.logs import configure_logs
from containers import Container, running
from settings import Environment, Settings, SettingsError
from settings.database import as_variables
from settings.origin import variables
from settings.settings import PREFIX
from settings.usable import usable_besides
from unitwork import Fit, ServerFacts, StoredRevision
from unitwork.errors import DatabaseError, DatabaseUnavailable

application = typer.Typer()

ANSWERS_WITHIN: Final = 10.0
CLOCK_WARNING: Final = 1.0
CLOCK_FAULT: Final = 30.0
"""Seconds between our clock and the server's."""
UPGRADE: Final = "gatehouse db upgrade"


@application.command("doctor")
def doctor(
    context: typer.Context,
    processes: Annotated[
        int, typer.Option(min=1, max=10_000, help="Server processes in all, on every machine: for the pool budget.")
    ] = 1,
    workers: Annotated[
        int, typer.Option(min=0, max=10_000, help="Worker processes in all (`gatehouse worker` × concurrency).")
    ] = 0,
    json: JsonFlag = False,
) -> int:
    """Look for what is wrong with the set-up, and say how to mend it. Exit code 4 when something doesn't work."""
    findings = run_to_its_end(_all(context.obj, processes, workers))
    healthy = all(finding.verdict is not Verdict.FAULT for finding in findings)
    lines = [
        {"subject": finding.subject, "verdict": finding.verdict, "detail": finding.detail, "fix": finding.fix}
        for finding in findings
    ]
    if json:
        print_json({"healthy": healthy, "findings": lines})
    else:
        print_table(("subject", "verdict", "detail", "fix"), lines)
    return ExitCode.DONE if healthy else ExitCode.UNHEALTHY


async def _all(given: Container | None, processes: int, workers: int) -> list[Finding]:
    findings = [surroundings.python(), *surroundings.variables()]
    unusable: frozenset[str] = frozenset()
    try:
        container = Container() if given is None else given
        settings = container.settings()
    except SettingsError as error:
        findings += surroundings.unreadable(error)
        found = usable_besides(error)
        if found is None:
            return findings
        settings, container = found, Container(settings=found)
        known = {problem.variable for problem in error.problems} & set(variables())
        unusable = frozenset(variable.removeprefix(PREFIX).partition("__")[0] for variable in known)
    else:
        findings.append(ok("settings", f"all can be used ({settings.environment})"))
    configure_logs(settings)
    if "DATABASE" in unusable:
        findings.append(warning("database", "not looked at, as its settings can't be used", "correct them first"))
    else:
        findings += [surroundings.extras(settings), surroundings.database_url(settings)]
        findings += [finding async for finding in _database(container, settings, processes + workers)]
    if "WORKER" not in unusable:
        findings.append(await surroundings.broker(settings))
    if "MAIL" not in unusable:
        findings.append(await surroundings.mail(settings))
    if "SECRET_KEY" not in unusable:
        findings += [*surroundings.secrets(settings), surroundings.var_files(settings)]
    return findings


async def _database(container: Container, settings: Settings, processes: int) -> AsyncIterator[Finding]:
    try:
        require_file(container)
        async with asyncio.timeout(ANSWERS_WITHIN), running(container):
            facts = await container.database_server().facts()
            schema = container.schema()
            stored, head = await schema.stored(), schema.head
            fit = schema.fit(stored)
            contacts = await stored_contacts(container) if fit in {Fit.CURRENT, Fit.NEWER} else None
    except TimeoutError:
        yield fault("database", f"no answer within {ANSWERS_WITHIN:g} s", "look at the server, and the way to it")
        return
    except DatabaseUnavailable as error:
        fix = f"{error.fix[0].lower()}{error.fix[1:]}" if error.fix else "start the database, or correct DATABASE_URL"
        yield fault("database", as_variables(error.fact), as_variables(fix))
        return
    except NoDatabaseFile as error:
        yield fault("database", error.fact, UPGRADE)
        yield fault("migrations", "at nothing, as there is no file", UPGRADE)
        return
    except DatabaseError as error:
        yield fault("database", as_variables(str(error)), "start the database, or correct DATABASE_URL")
        return
    except Exception as error:  # noqa: BLE001 - one finding that fails must not hide the others
        fix = "correct DATABASE_URL; GATEHOUSE_DEBUG=1 gatehouse db check shows where it comes from"
        yield fault("database", f"can't be looked at ({type(error).__name__})", fix)
        return
    yield ok("database", f"{facts.product} {facts.version} answers in {facts.round_trip * 1000:.1f} ms")
    yield _migrations(stored, fit, head)
    if contacts is not None:
        yield contacts
    yield _pool(settings, facts, processes)
    yield _clock(facts)
    if facts.superuser is not None:
        yield _role(facts, settings)


def _migrations(stored: StoredRevision, fit: Fit, head: str | None) -> Finding:
    if fit is Fit.CURRENT:
        return ok("migrations", f"at {stored.revision}, the newest")
    if fit is Fit.NEWER:
        return ok("migrations", f"at {stored.revision}, newer than this release's {head}, which works with it")
    if fit is Fit.AHEAD:
        detail = f"at {stored.revision}, newer than this release's {head}, which doesn't work with it"
        return fault("migrations", detail, "install the release that upgraded the database")
    return fault("migrations", f"at {stored.revision or 'nothing'}, the newest is {head}", UPGRADE)


def _pool(settings: Settings, facts: ServerFacts, processes: int) -> Finding:
    each = settings.database.pool_size + settings.database.max_overflow
    budget = f"{each} connections × {processes} process{'es' * (processes > 1)} = {each * processes}"
    if facts.connections is None:
        return ok("pool", f"{budget}; {facts.product} has no limit of its own")
    if each * processes > facts.connections:
        fits = max(facts.connections // processes, 1)
        fix = (
            f"keep POOL_SIZE + MAX_OVERFLOW at {fits} or below (GATEHOUSE_DATABASE__…), "
            "raise max_connections, or put a pooler between"
        )
        return fault("pool", f"{budget}, and the server takes {facts.connections}", fix)
    return ok("pool", f"{budget}, and the server takes {facts.connections}")


def _clock(facts: ServerFacts) -> Finding:
    if facts.clock_ahead is None:
        return ok("clock", "the database has no clock but ours")
    detail = f"the server's is {abs(facts.clock_ahead):.2f} s {'ahead' if facts.clock_ahead > 0 else 'behind'}"
    fix = "synchronise both clocks (NTP): ids and expiries are made from them"
    if abs(facts.clock_ahead) > CLOCK_FAULT:
        return fault("clock", detail, fix)
    if abs(facts.clock_ahead) > CLOCK_WARNING:
        return warning("clock", detail, fix)
    return ok("clock", detail)


def _role(facts: ServerFacts, settings: Settings) -> Finding:
    if not facts.superuser:
        return ok("role", "ours is no superuser")
    fix = "connect as a role that owns nothing (docs/guides/operations.md)"
    if settings.environment is Environment.PRODUCTION:
        return fault("role", "ours is a superuser", fix)
    return warning("role", "ours is a superuser", fix)
