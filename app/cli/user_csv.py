"""`gatehouse users import` and `export`."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.command import JsonFlag, container_command
from app.cli.exit_codes import ExitCode
from app.cli.input_file import input_file
from app.cli.output import print_json, print_table, say
from app.cli.output_file import private_file
from app.cli.region import Region
from containers import Container
from services.csv.columns import AccountField, column_mapping
from services.csv.delimiter import Delimiter
from services.csv.encoding import DecodedText, text_encoding
from services.csv.errors import MalformedMapping, RepeatedField, UnknownEncoding
from services.csv.import_report import ImportReport, RowReport, RowReports
from services.csv.text import REPORT_HEADER, csv_text, report_text


def register(application: typer.Typer) -> None:
    """Add both commands to the group of accounts."""
    container_command(application, "import")(import_users)
    container_command(application, "export")(export)


def _encoding(value: str | None) -> str | None:
    try:
        return None if value is None else text_encoding(value)
    except UnknownEncoding as error:
        raise typer.BadParameter(str(error)) from None


async def import_users(
    container: Container,
    file: Annotated[Path, typer.Argument(help="CSV, its first line naming the columns; - reads stdin.")],
    column: Annotated[
        list[str] | None,
        typer.Option(help='FIELD=COLUMN, or FIELD="{first} {last}"; fields: email phone display_name role status.'),
    ] = None,
    region: Region = None,
    delimiter: Annotated[Delimiter | None, typer.Option(help="Between cells; else the header tells it.")] = None,
    encoding: Annotated[
        str | None,
        typer.Option(callback=_encoding, help="cp1252, shift_jis, …; else the file's mark tells it, or it is UTF-8."),
    ] = None,
    skip_lines: Annotated[int, typer.Option(min=0, help="Lines before the one that names the columns.")] = 0,
    drop_invalid: Annotated[
        list[AccountField] | None,
        typer.Option(help="A field without which a row is stored when it breaks a rule; more than once for several."),
    ] = None,
    start_line: Annotated[int, typer.Option(min=1, help="Leave out rows that begin on earlier lines.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be, and store nothing.")] = False,
    invite: Annotated[bool, typer.Option("--invite", help="Mail each new account an invitation.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="A new CSV file, readable by you alone: what became of each row.")
    ] = None,
    json: JsonFlag = False,
) -> int:
    """Create an account for each row that is new. Exit code 3 when rows were rejected.

    Rows are stored in batches, each whole or not at all. Importing a file again is safe: what is there is skipped.
    """
    try:
        columns = column_mapping(column or [])
    except (MalformedMapping, RepeatedField) as error:
        raise typer.BadParameter(str(error)) from None
    done = ImportReport()
    with _report_file(report) as row_reports:
        try:
            async with input_file(file) as opened:
                await container.user_csv_service().import_file(
                    DecodedText(opened, max_bytes=container.settings().csv.max_bytes, encoding=encoding),
                    columns=columns,
                    region=region,
                    delimiter=delimiter,
                    skip_lines=skip_lines,
                    drop_invalid=drop_invalid or (),
                    start_line=start_line,
                    dry_run=dry_run,
                    invite=invite,
                    progress=_progress,
                    row_reports=row_reports,
                    report=done,
                )
        except asyncio.CancelledError:
            if done.rows:
                say(_how_to_go_on(done))
            raise
        except Exception as error:
            if done.rows:
                _print(done, json, each=report is None, stopped_by=error)
            raise
    _print(done, json, each=report is None)
    return ExitCode.PARTLY_DONE if done.rejected else ExitCode.DONE


async def export(
    container: Container,
    output: Annotated[Path | None, typer.Option(help="A new file, readable by you alone; stdout otherwise.")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Begin with the columns' names, for programs: without the line sep=,")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Write the accounts that aren't deleted as CSV, oldest first. With --json, which needs --output, print what was
    written where.
    """
    if json and output is None:
        msg = "--json needs --output: without it the accounts themselves go to stdout"
        raise typer.BadParameter(msg)
    accounts = 0
    async with aclosing(container.user_csv_service().export(plain=plain)) as pieces:
        if output is None:
            async for piece in pieces:
                sys.stdout.write(piece)
            sys.stdout.flush()
            return
        with private_file(output) as file:
            try:
                file.write(await anext(pieces))  # up to the header
                async for piece in pieces:
                    file.write(piece)
                    accounts += piece.count("\r\n")
            except BaseException:
                # A truncated export can't be distinguished from a complete one.
                output.unlink()
                raise
    if json:
        print_json({"output": str(output), "accounts": accounts})
    else:
        say(f"{accounts} accounts written to {output}")


@contextmanager
def _report_file(path: Path | None) -> Iterator[RowReports | None]:
    """Report file, written after each batch, so that an interrupted import leaves one."""
    if path is None:
        yield None
        return
    with private_file(path) as file:
        file.write(csv_text([REPORT_HEADER]))

        def add(reports: Sequence[RowReport]) -> None:
            file.write(report_text(reports))
            file.flush()

        yield add


def _print(report: ImportReport, json: bool, *, each: bool, stopped_by: Exception | None = None) -> None:
    if json:
        document: dict[str, Any] = {
            "rows": report.rows,
            "imported": report.imported,
            "skipped": report.skipped,
            "rejected": [{"line": row.line, "reason": row.reason} for row in report.rejected],
            "dropped": [{"line": row.line, "reason": row.reason} for row in report.dropped],
            "columns": report.columns,
            "unused_columns": report.unused_columns,
        }
        if stopped_by is not None:
            document |= {"next_line": report.next_line}
        print_json(document)
    else:
        counts = {name: getattr(report, name) for name in ("rows", "imported", "skipped")}
        print_table((*counts, "rejected"), [counts | {"rejected": len(report.rejected)}])
        if each:
            for row in sorted([*report.rejected, *report.dropped], key=lambda row: row.line):
                say(f"line {row.line}: {row.reason}")
        say(_columns(report))
    if stopped_by is not None:
        say(_how_to_go_on(report))


def _columns(report: ImportReport) -> str:
    taken = ", ".join(f"{field} from '{source}'" for field, source in report.columns.items())
    left = ", ".join(f"'{name}'" for name in report.unused_columns)
    return f"columns used: {taken}; not used: {left or 'none'}"


def _how_to_go_on(report: ImportReport) -> str:
    return f"stopped: {report.rows} rows are settled; go on with --start-line {report.next_line}"


def _progress(report: ImportReport) -> None:
    if sys.stderr.isatty():
        print(f"\r{report.rows} rows read, {report.imported} imported", end="", file=sys.stderr, flush=True)
