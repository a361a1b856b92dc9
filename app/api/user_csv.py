"""`/v1/users/import` and `/v1/users/export`."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.api.accept import choose, prefers
from app.api.csv_body import CONTENT, csv_body
from app.api.dependencies import HeadOnlyDep, SettingsDep, StillAdminDep, UserCsvServiceDep, UserImportJobDep, admin
from app.api.jobs import JobBody
from app.api.media_type import JSON
from app.api.problems import problem_for
from app.api.query_text import LISTS
from domain.errors import NotAllowed
from domain.phone_number import REGIONS
from services.csv.columns import AccountField, column_mapping
from services.csv.delimiter import Delimiter
from services.csv.encoding import DecodedText, text_encoding
from services.csv.errors import CsvError, UnknownEncoding
from services.csv.import_report import ImportReport, RowReport
from services.csv.text import REPORT_HEADER, csv_text, report_text
from services.messaging.user_import_job import UserImportJob
from unitwork.errors import DatabaseError

router = APIRouter(prefix="/users", tags=["users"])

CSV_TYPE: Final = "text/csv"
CSV: Final = f"{CSV_TYPE}; charset=utf-8"
HELD: Final = 1_048_576
"""Bytes of a report that are kept in memory; a longer one goes to a temporary file."""


def _region(value: str) -> str:
    if value.upper() not in REGIONS:
        msg = "is no ISO 3166 country code with phone numbers, such as US"
        raise ValueError(msg)
    return value.upper()


def _encoding(value: str) -> str:
    try:
        return text_encoding(value)
    except UnknownEncoding:
        msg = "is no encoding of text, such as cp1252"
        raise ValueError(msg) from None


class ImportOptions(BaseModel):
    """The query of `POST /v1/users/import`."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(default=False, description="say what would be, and store nothing")
    column: list[Annotated[str, Field(max_length=1000)]] = Field(
        default=[],
        max_length=20,
        description="`FIELD=COLUMN` or `FIELD={first} {last}`; fields: email phone display_name role status. "
        "Fields that aren't given are taken from columns of their own names, and without any `column` from usual ones "
        "(`E-mail`, `Mobile`, …); role and status only when given, or from an export of ours",
    )
    region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None, description="country of phone numbers without country code"
    )
    delimiter: Delimiter | None = Field(default=None, description="what separates cells; else the header tells it")
    encoding: Annotated[str, Field(max_length=40), AfterValidator(_encoding)] | None = Field(
        default=None,
        description="the file's encoding (`cp1252`); else its mark or Content-Type's charset tells it, or it is UTF-8",
    )
    skip_lines: int = Field(default=0, ge=0, lt=1 << 31, description="lines before the one that names the columns")
    drop_invalid: list[AccountField] = Field(
        default=[],
        max_length=len(AccountField),
        description="fields without which a row is stored when they break a rule",
    )
    start_line: int = Field(default=1, ge=1, lt=1 << 63, description="leave out rows that begin on earlier lines")
    invite: bool = Field(default=False, description="mail each new account an invitation to choose its password")


class RejectionBody(BaseModel):
    """A row that was not imported: the line of the file it begins on, and why."""

    line: int
    reason: str


class ImportBody(BaseModel):
    """`rows` = `imported` + `skipped` (the account is there already) + rejected. `dropped` are rows among the imported
    that were stored without a field; `columns` has the column, or the template, of each field that was taken.
    """

    rows: int
    imported: int
    skipped: int
    rejected: list[RejectionBody]
    dropped: list[RejectionBody]
    columns: dict[str, str]
    unused_columns: list[str]

    @classmethod
    def of(cls, report: ImportReport) -> Self:
        rejected, dropped = (
            [RejectionBody(line=row.line, reason=row.reason) for row in rows]
            for rows in (report.rejected, report.dropped)
        )
        return cls(
            rows=report.rows,
            imported=report.imported,
            skipped=report.skipped,
            rejected=rejected,
            dropped=dropped,
            columns=report.columns,
            unused_columns=report.unused_columns,
        )


@router.post(
    "/import",
    dependencies=[Depends(admin)],
    response_model=ImportBody,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
        202: {"model": JobBody, "description": "The file is stored; its import goes on in a worker"},
    },
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def import_users(
    request: Request,
    options: Annotated[ImportOptions, Query()],
    users: UserCsvServiceDep,
    jobs: UserImportJobDep,
    settings: SettingsDep,
    may: StillAdminDep,
    prefer: Annotated[  # noqa: ARG001 - it documents the header; the request has all of several, this only the last
        str, Header(description="`respond-async`: import in a worker")
    ] = "",
) -> Any:
    """Create an account for each row of a CSV file that is new, in batches that are stored whole or not at all.

    Rows that break a rule are reported by their line and don't stop the others. With `Accept: text/csv` the answer is
    a file that says what became of each row. Sending a file again is safe: what is there already is skipped. When a
    file can't be read to its end, or the database fails, the problem's `report` says what was done before, and its
    `next_line` is the `start_line` to go on from.

    With `Prefer: respond-async` the file is stored and imported by a worker: 202, and Location is where to ask how far
    it is.
    """
    if prefers(request.headers, "respond-async"):
        return await _in_worker(request, options, jobs)
    report = ImportReport()
    lines = _ReportFile() if choose(request.headers, JSON, CSV_TYPE) == CSV_TYPE else None
    try:
        async with csv_body(request) as body:
            options = with_fields(options, body.fields)
            await users.import_file(
                DecodedText(body.file, max_bytes=settings.csv.max_bytes, encoding=options.encoding or body.encoding),
                columns=column_mapping(options.column),
                region=options.region,
                delimiter=options.delimiter,
                skip_lines=options.skip_lines,
                drop_invalid=options.drop_invalid,
                start_line=options.start_line,
                dry_run=options.dry_run,
                invite=options.invite,
                row_reports=None if lines is None else lines.add,
                report=report,
                may=may,
            )
    except (CsvError, DatabaseError, NotAllowed) as error:
        if not report.rows:
            raise
        facts = ImportBody.of(report).model_dump() | {"next_line": report.next_line}
        done = None
        if isinstance(error, DatabaseError):
            done = f"the database failed; rows before line {report.next_line} are settled, go on from there"
        if isinstance(error, NotAllowed):
            done = f"the acting user may import no longer; rows from line {report.next_line} on are not in"
        return problem_for(error, request.url.path, detail=done, facts={"report": facts})
    if lines is None:
        return ImportBody.of(report)
    return StreamingResponse(lines.pieces(), HTTPStatus.OK, _attachment("import-report.csv"), CSV)


def with_fields(options: ImportOptions, fields: Sequence[tuple[str, str]]) -> ImportOptions:
    """Merge the options of the query with those of a form's fields. Raises `RequestValidationError` for a field that
    would be refused in the query, and for an option that is in both.
    """
    if not fields:
        return options
    given: dict[str, Any] = {}
    faults: list[Any] = []
    for name, text in fields:
        if name in LISTS:
            given.setdefault(name, []).append(text)
        elif name in given:
            faults.append({"type": "repeated", "loc": ("body", name), "msg": "is given more than once; give it once"})
        given.setdefault(name, text)
    in_both = sorted(given.keys() & options.model_fields_set)
    faults += [
        {"type": "repeated", "loc": ("body", name), "msg": "is in the query too; give it once"} for name in in_both
    ]
    try:
        asked = ImportOptions.model_validate(given)
    except ValidationError as refusal:
        faults += [{**fault, "loc": ("body", *fault["loc"])} for fault in refusal.errors()]
    if faults:
        raise RequestValidationError(faults)
    return asked.model_copy(update={name: getattr(options, name) for name in options.model_fields_set})


async def _in_worker(request: Request, options: ImportOptions, jobs: UserImportJob) -> Response:
    async with csv_body(request) as body:
        options = with_fields(options, body.fields)
        job = await jobs.start(
            body.file,
            columns=options.column,
            region=options.region,
            delimiter=options.delimiter,
            encoding=options.encoding or body.encoding,
            skip_lines=options.skip_lines,
            drop_invalid=[field.value for field in options.drop_invalid],
            start_line=options.start_line,
            dry_run=options.dry_run,
            invite=options.invite,
        )
    headers = {
        "Location": request.url_for("get_job", job_id=str(job.id)).path,
        "Preference-Applied": "respond-async",
        "Retry-After": "1",
    }
    return JSONResponse(JobBody.of(job).model_dump(mode="json"), HTTPStatus.ACCEPTED, headers)


@router.get(
    "/export",
    dependencies=[Depends(admin)],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "A CSV file"}},
)
async def export_users(
    request: Request,
    users: UserCsvServiceDep,
    head: HeadOnlyDep,
    may: StillAdminDep,
    plain: Annotated[
        bool, Query(description="for programs: begin with the columns' names, without the line sep=,")
    ] = False,
) -> Response:
    """The accounts that aren't deleted, as CSV. The first line, `sep=,`, has a spreadsheet of any locale split at
    commas. Cells that a spreadsheet would run begin with `'`, which an import of the file removes. A stream that broke
    off has no last chunk: count it as none.
    """
    choose(request.headers, CSV_TYPE)
    if head:
        return StreamingResponse((), HTTPStatus.OK, _attachment("users.csv"), CSV)
    pieces = users.export(plain=plain, may=may)
    # Read before the status is sent: an unreachable database then answers 503 instead of a truncated file.
    first = await anext(pieces)
    return StreamingResponse(_whole(first, pieces), HTTPStatus.OK, _attachment("users.csv"), CSV)


async def _whole(first: str, rest: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store", "Vary": "Accept"}


class _ReportFile:
    """Report of each row, buffered until the import has ended, as the answer's status precedes it."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115 - it ends with the answer
        self._file.write(csv_text([REPORT_HEADER]).encode())

    def add(self, reports: Sequence[RowReport]) -> None:
        self._file.write(report_text(reports).encode())

    def pieces(self) -> Any:
        """Yield the report's bytes; Starlette iterates in a thread."""
        with self._file:
            self._file.seek(0)
            while piece := self._file.read(65_536):
                yield piece
