"""Import: dry runs, reports, limits, and going on after a stop."""

import asyncio

import pytest

from containers import Container
from services import UserCsvService
from services.csv.columns import column_mapping
from services.csv.errors import MalformedMapping, RepeatedField, TooManyCsvRows, UnreadableCsv
from services.csv.import_report import ImportReport, RowReport
from services.csv.text import report_text
from services.csv.user_csv_service import BATCH
from tests.services.csv_text import CsvText
from unitwork.models import SYSTEM, acting_as


def people(number: int, *, start: int = 0) -> str:
    return "".join(f"user{index}@example.com,\n" for index in range(start, start + number))


async def test_a_dry_run_says_what_a_run_would_and_stores_nothing(container: Container) -> None:
    with acting_as(SYSTEM):
        await container.user_service().create({"email": "user3@example.com", "phone": "+14155550132"})
    text = (
        "email,phone\n"
        + people(BATCH + 5)
        + "USER1@example.com,\n"  # twice in the file, in another batch
        + "nonsense,\n"
        + "new@example.com,+14155550132\n"
        + "one@example.com,+14155550133\ntwo@example.com,+14155550133\n"
    )
    users = container.user_csv_service()
    with acting_as(SYSTEM):
        dry = await users.import_file(CsvText(text), dry_run=True)
        assert await container.user_dao().count().rows() == 1
        real = await users.import_file(CsvText(text))
    assert dry == real
    assert (real.rows, real.skipped, len(real.rejected)) == (BATCH + 10, 2, 3)


async def test_each_row_is_reported_in_the_order_of_the_file(container: Container) -> None:
    told: list[RowReport] = []
    text = "email,phone\nada@example.com,\n\nnonsense,\nADA@example.com,\nalan@example.com,\n"
    with acting_as(SYSTEM):
        await container.user_csv_service().import_file(CsvText(text), row_reports=told.extend)
    assert [(row.line, row.outcome) for row in told] == [
        (2, "imported"), (4, "rejected"), (5, "skipped"), (6, "imported"),
    ]  # fmt: skip
    lines = report_text(told).split("\r\n")
    assert lines[0] == "2,imported,"
    assert (
        lines[1] == "4,rejected,email: is not an e-mail address: it must have an @-sign; write it as name@example.com"
    )


@pytest.mark.parametrize("batches", [1, 2])
async def test_what_was_settled_before_a_file_broke_is_known_and_can_be_gone_on_from(
    container: Container, batches: int
) -> None:
    rows = people(batches * BATCH + 7)
    report, told = ImportReport(), list[RowReport]()
    users = container.user_csv_service()
    with acting_as(SYSTEM), pytest.raises(UnreadableCsv) as caught:
        await users.import_file(
            CsvText("email,phone\n" + rows + '"never closed\n'), report=report, row_reports=told.extend
        )
    assert caught.value.line == batches * BATCH + 9
    assert (report.rows, report.imported, len(told)) == (batches * BATCH,) * 3
    assert report.next_line == batches * BATCH + 2

    with acting_as(SYSTEM):
        rest = await users.import_file(CsvText("email,phone\n" + rows), start_line=report.next_line)
    assert (rest.rows, rest.imported, rest.skipped) == (7, 7, 0)
    assert await container.user_dao().count().rows() == batches * BATCH + 7


async def test_an_import_cancelled_in_the_middle_leaves_whole_batches_and_is_resumed_without_a_double(
    container: Container,
) -> None:
    text = "email,phone\n" + people(5 * BATCH)
    report = ImportReport()
    users = container.user_csv_service()
    reached = asyncio.Event()

    def progress(so_far: ImportReport) -> None:
        if so_far.rows == 2 * BATCH:
            reached.set()

    with acting_as(SYSTEM):
        importing = asyncio.create_task(users.import_file(CsvText(text), report=report, progress=progress))
        await reached.wait()
        importing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await importing
        stored = await container.user_dao().count().rows()
        assert stored % BATCH == 0
        assert report.imported <= stored < 5 * BATCH
        rest = await users.import_file(CsvText(text), start_line=report.next_line)
    assert rest.rows == 5 * BATCH - report.rows
    assert rest.imported + stored == await container.user_dao().count().rows() == 5 * BATCH
    assert rest.rejected == []


async def test_rows_beyond_the_limit_are_refused_by_line_and_the_others_are_in(container: Container) -> None:
    report = ImportReport()
    users = UserCsvService(container.transaction(), container.user_dao(), max_rows=7)
    with acting_as(SYSTEM):
        with pytest.raises(TooManyCsvRows) as caught:
            await users.import_file(CsvText("email,phone\n\n" + people(8)), report=report)
        assert caught.value.line == report.next_line == 10
        assert (report.rows, report.imported) == (7, 7)
        assert await container.user_dao().count().rows() == 7
        exactly = await users.import_file(CsvText("email,phone\n" + people(7)))
        assert exactly.skipped == 7


async def test_others_have_their_turn_while_rows_are_read(container: Container) -> None:
    """Checking 500 rows takes a tenth of a second: nobody else in the event loop waits for that."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    before: list[int] = []
    with acting_as(SYSTEM):
        await container.user_csv_service().import_file(
            CsvText("email,phone\n" + "nonsense,\n" * BATCH, piece=1_000_000),
            row_reports=lambda _: before.append(turns),
        )
    counting.cancel()
    assert before[0] >= BATCH / 25


def test_a_mapping_is_read_from_pieces_of_text() -> None:
    assert column_mapping([]) == {}
    assert column_mapping([" email =mail", "display_name={a}={b}"]) == {"email": "mail", "display_name": "{a}={b}"}
    for text in ("email", "email=", "="):
        with pytest.raises(MalformedMapping, match="is not FIELD=COLUMN"):
            column_mapping([text])
    with pytest.raises(RepeatedField, match="'email' is given more than one column"):
        column_mapping(["email=a", "email=b"])
