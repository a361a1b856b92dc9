"""`gatehouse users check`, and the same check in `gatehouse doctor`: contacts that were stored under older rules."""

import time
from collections import Counter
from contextlib import aclosing
from typing import Annotated, Any, Final

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.finding import Finding, ok, warning
from app.cli.output import print_json, print_table, say
from containers import Container
from services.contact_check import ContactFault

COLUMNS: Final = ("id", "field", "reason", "fix")
GLANCE_SECONDS: Final = 3.0
"""Seconds after which the doctor reads no further page of accounts."""


def register(application: typer.Typer) -> None:
    """Add the command to the group of accounts."""
    container_command(application, "check")(check)


async def check(
    container: Container,
    mend_keys: Annotated[
        bool,
        typer.Option(
            "--mend-keys",
            help="Compute anew the keys of names, and the e-mail keys that no other account has. Changes neither.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> int:
    """List the accounts whose e-mail address, phone number or name today's rules would refuse, or find otherwise.

    Deleted accounts too. Exit code 4 when there are any.
    """
    checked, found = 0, list[dict[str, Any]]()
    async with aclosing(container.contact_check().pages(mend=mend_keys)) as pages:
        async for page in pages:
            checked += page.accounts
            found += [_record(fault) for fault in page.faults]
    if json:
        print_json({"checked": checked, "findings": found})
    elif found:
        print_table(COLUMNS, found)
    say(f"{checked} accounts checked, {len(found)} findings")
    return ExitCode.UNHEALTHY if found else ExitCode.DONE


async def stored_contacts(container: Container) -> Finding:
    """Find stored contacts that today's rules refuse, in the accounts read within the time limit."""
    checked, kinds = 0, Counter[str]()
    began, whole = time.monotonic(), True
    async with aclosing(container.contact_check().pages()) as pages:
        async for page in pages:
            checked += page.accounts
            kinds.update(fault.field for fault in page.faults)
            if time.monotonic() - began > GLANCE_SECONDS:
                whole = False
                break
    looked = f"{'all' if whole else 'the first'} {checked} accounts" if checked else "no accounts yet"
    if not kinds:
        return ok("contacts", f"{looked}: none that today's rules would refuse or find otherwise")
    counts = ", ".join(f"{count} × {field}" for field, count in sorted(kinds.items()))
    detail = f"{looked}: {counts} that today's rules would refuse or find otherwise"
    return warning("contacts", detail, "gatehouse users check lists each with its fix; --mend-keys mends keys")


def _record(fault: ContactFault) -> dict[str, Any]:
    return {"id": str(fault.user_id), "field": fault.field, "reason": fault.reason, "fix": fault.fix}
