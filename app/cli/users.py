"""`gatehouse users`: create, list, show, import, export."""

import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.input_file import input_file
from app.cli.output import USER_COLUMNS, print_json, print_table, say, user_record
from containers import Container
from domain import Role, UserChanges, UserStatus
from domain.phone_number import REGIONS
from repositories import UserFilter
from services.import_report import ImportReport

application = typer.Typer(no_args_is_help=True, help="Accounts.")


def _region(value: str | None) -> str | None:
    if value is not None and value.upper() not in REGIONS:
        msg = f"'{value}' is no ISO 3166 country code with phone numbers, such as US"
        raise typer.BadParameter(msg)
    return None if value is None else value.upper()


Region = Annotated[
    str | None, typer.Option(callback=_region, help="Country of phone numbers without country code: US, DE, …")
]


@container_command(application, "create")
async def create(
    container: Container,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    phone: Annotated[str | None, typer.Option(help="Phone number.")] = None,
    display_name: Annotated[str | None, typer.Option(help="What to call the person.")] = None,
    role: Annotated[Role, typer.Option(help="What the account may do.")] = Role.USER,
    region: Region = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password; not on a terminal, read one line of stdin.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Create an account. It needs an e-mail address or a phone number."""
    changes: UserChanges = {"role": role}
    if email is not None:
        changes["email"] = email
    if phone is not None:
        changes["phone"] = phone
    if display_name is not None:
        changes["display_name"] = display_name
    secret = _password() if password else None
    user = await container.user_service().create(changes, password=secret, region=region)
    print_json(user_record(user)) if json else print_table(USER_COLUMNS, [user_record(user)])


@container_command(application, "list")
async def list_users(
    container: Container,
    email: Annotated[str | None, typer.Option(help="The whole address.")] = None,
    phone: Annotated[str | None, typer.Option(help="The whole number, E.164.")] = None,
    name: Annotated[str | None, typer.Option(help="Part of the display name.")] = None,
    status: Annotated[UserStatus | None, typer.Option(help="Only these.")] = None,
    sort: Annotated[str, typer.Option(help="A column; `-` before it for descending.")] = "-created_at",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    include_deleted: Annotated[bool, typer.Option("--include-deleted")] = False,
    json: JsonFlag = False,
) -> None:
    """List accounts, a page at a time."""
    page = await container.user_service().list(
        UserFilter(email=email, phone=phone, name=name, status=status),
        order=sort,
        limit=limit,
        cursor=cursor,
        include_deleted=include_deleted,
    )
    records = [user_record(user) for user in page.items]
    if json:
        print_json({"items": records, "next_cursor": page.next_cursor, "has_more": page.has_more})
        return
    print_table(USER_COLUMNS, records)
    if page.next_cursor is not None:
        say(f"more: --cursor {page.next_cursor}")


@container_command(application, "show")
async def show(
    container: Container,
    user: Annotated[str, typer.Argument(help="Id, e-mail address or phone number.")],
    json: JsonFlag = False,
) -> None:
    """Show one account."""
    record = user_record(await container.user_service().find(user))
    if json:
        print_json(record)
    else:
        print_table(("field", "value"), [{"field": name, "value": value} for name, value in record.items()])


@container_command(application, "import")
async def import_users(
    container: Container,
    file: Annotated[Path, typer.Argument(help="CSV, UTF-8, its first line naming the columns.")],
    column: Annotated[
        list[str] | None,
        typer.Option(help='FIELD=COLUMN, or FIELD="{first} {last}"; fields: email phone display_name role status.'),
    ] = None,
    region: Region = None,
    json: JsonFlag = False,
) -> int:
    """Create an account for each row that is new. Exit code 3 when rows were rejected."""
    columns: dict[str, str] = {}
    for text in column or []:
        field, equals, source = text.partition("=")
        if not equals or not source:
            msg = f"'{text}' is not FIELD=COLUMN"
            raise typer.BadParameter(msg)
        columns[field.strip()] = source
    async with input_file(file) as opened:
        report = await container.user_csv_service().import_file(
            opened, columns=columns, region=region, progress=_progress
        )
    if json:
        print_json(
            {
                "rows": report.rows,
                "imported": report.imported,
                "skipped": report.skipped,
                "rejected": [{"line": row.line, "reason": row.reason} for row in report.rejected],
            }
        )
    else:
        counts = {name: getattr(report, name) for name in ("rows", "imported", "skipped")}
        print_table((*counts, "rejected"), [counts | {"rejected": len(report.rejected)}])
        for rejection in report.rejected:
            say(f"line {rejection.line}: {rejection.reason}")
    return ExitCode.PARTLY_DONE if report.rejected else ExitCode.DONE


@container_command(application, "export")
async def export(
    container: Container,
    output: Annotated[Path | None, typer.Option(help="A new file, readable by you alone; stdout otherwise.")] = None,
) -> None:
    """Write the accounts that aren't deleted as CSV, oldest first."""
    async with aclosing(container.user_csv_service().export()) as pieces:
        if output is None:
            async for piece in pieces:
                sys.stdout.write(piece)
            sys.stdout.flush()
            return
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                async for piece in pieces:
                    file.write(piece)
        except BaseException:
            # Half an export looks like a whole one.
            output.unlink()
            raise
    say(f"written to {output}")


def _progress(report: ImportReport) -> None:
    if sys.stderr.isatty():
        print(f"\r{report.rows} rows read, {report.imported} imported", end="", file=sys.stderr, flush=True)


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")
