"""Import: which row becomes which account, and what is said of those that don't."""

import pytest

from containers import Container
from domain import Role, User, UserStatus
from services.csv.errors import (
    AmbiguousCsvColumn,
    CsvError,
    FormattedTemplate,
    MalformedTemplate,
    NoUsableColumn,
    UnknownCsvColumn,
    UnknownField,
    UnreadableCsv,
)
from services.csv.import_report import ImportReport
from services.csv.user_csv_service import BATCH
from tests.services.csv_text import CsvText
from unitwork.models import SYSTEM, acting_as


async def load(container: Container, text: str, *, piece: int = 4096, **options: object) -> ImportReport:
    with acting_as(SYSTEM):
        return await container.user_csv_service().import_file(CsvText(text, piece=piece), **options)  # type: ignore[arg-type]


async def stored(container: Container) -> list[User]:
    return await container.user_dao().query().order_by("id").all()


def rejected(report: ImportReport) -> list[int]:
    return [rejection.line for rejection in report.rejected]


async def test_columns_are_taken_by_their_own_names(container: Container) -> None:
    text = "E-Mail,Email,Display Name,PHONE,role,Status\nno,ada@example.com,Ada,+14155550132,ADMIN,suspended\n"
    report = await load(container, text)
    assert (report.rows, report.imported, report.rejected) == (1, 1, [])
    assert report.columns == {"email": "Email", "phone": "PHONE", "display_name": "Display Name"}
    assert report.unused_columns == ["E-Mail", "role", "Status"]
    [user] = await stored(container)
    assert (user.email, user.display_name, user.phone) == ("ada@example.com", "Ada", "+14155550132")
    assert (user.role, user.status, user.created_by) == (Role.USER, UserStatus.ACTIVE, SYSTEM)


async def test_role_and_status_are_taken_when_they_are_named(container: Container) -> None:
    text = "Email,role,Status\nada@example.com,ADMIN,suspended\nalan@example.com,,\n"
    report = await load(container, text, columns={"role": "role", "status": "{Status}"})
    assert (report.imported, report.unused_columns) == (2, [])
    assert [(user.role, user.status) for user in await stored(container)] == [
        (Role.ADMIN, UserStatus.SUSPENDED),
        (Role.USER, UserStatus.ACTIVE),
    ]


async def test_columns_can_be_mapped_and_templates_put_together(container: Container) -> None:
    text = "first,last,mail,tel\nAda,Lovelace,ada@example.com,020 7946 0958\n,Turing,alan@example.com,\n"
    columns = {"email": "mail", "display_name": "Dr. {first} {last}", "phone": "tel"}
    report = await load(container, text, columns=columns, region="GB")
    assert report.imported == 2
    ada, alan = await stored(container)
    assert (ada.display_name, ada.phone) == ("Dr. Ada Lovelace", "+442079460958")
    assert (alan.display_name, alan.phone) == ("Dr. Turing", None)


@pytest.mark.parametrize(
    ("text", "columns", "error", "words"),
    [
        ("email\n", {"email": "emial"}, UnknownCsvColumn, "Did you mean 'email'?"),
        ("email\n", {"email": "{emial}"}, UnknownCsvColumn, "Did you mean 'email'?"),
        ("email\n", {"email": "zzz"}, UnknownCsvColumn, "It has: email."),
        ("email\n", {"emial": "email"}, UnknownField, "Did you mean 'email'?"),
        ("email\n", {"password": "email"}, UnknownField, "no field 'password'"),
        ("email\n", {"email": "{email"}, MalformedTemplate, "template of 'email'"),
        ("email\n", {"email": "{email}}"}, MalformedTemplate, "template of 'email'"),
        ("name,age\n", None, NoUsableColumn, "--column email=COLUMN"),
        ("email", {"email": "{email!r}"}, FormattedTemplate, "template of 'email' has a conversion"),
        ("email", {"email": "{email:>40}"}, FormattedTemplate, "Braces hold a column's name and nothing else"),
        ("email", {"email": "email}"}, MalformedTemplate, "template of 'email'"),
        ("email,Email\n", None, AmbiguousCsvColumn, "more than one column 'Email'"),
        ("email,email\n", {"email": "email"}, AmbiguousCsvColumn, "more than one column 'email'"),
        ("e\0m\0ail\n", None, UnreadableCsv, "line 1: holds NUL"),
        ("", None, UnreadableCsv, "line 1: the file is empty"),
        ("\n\n\n", None, UnreadableCsv, "the file is empty"),
    ],
)
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_file_that_cannot_be_used_says_why(
    container: Container, text: str, columns: dict[str, str] | None, error: type[CsvError], words: str
) -> None:
    with pytest.raises(error) as caught:
        await load(container, text, columns=columns)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_bad_rows_are_named_by_their_line_and_stop_nothing(container: Container) -> None:
    text = (
        "email,phone,display_name,role\r\n"
        " ,,\t,\r\n"
        'ada@example.com,,"two\r\nlines",user\r\n'  # lines 3 and 4: a line break can't be stored
        "alan@example.com,,Alan,user\r\n"
        "not an address,,canary,user\r\n"  # 6
        "\r\n"
        "\r\n"
        'barbara@example.com,,"say ""hi""",user\r\n'
        "edsger@example.com,,Edsger\r\n"  # 10: the role is missing, and so it is empty
        "frances@example.com,,Frances,user,x\r\n"  # 11: one too many
        "grace@example.com,,Grace,queen\r\n"  # 12
        "jim@example.com,12,Jim,user\r\n"  # 13
        ",,nobody,user\r\n"  # 14
        "leslie@example.com,,a\0b,user\r\n"  # 15
        "radia@example.com,,Radia,user"
    )
    for piece in (4096, 7, 1):
        report = await load(container, text, piece=piece, columns={"role": "role"})
        assert rejected(report) == [3, 6, 11, 12, 13, 14, 15]
        assert report.rows == 11
        assert report.imported + report.skipped == 4
        reasons = {rejection.line: rejection.reason for rejection in report.rejected}
        assert reasons[11] == "row: has 5 cells where the header has 4"
        assert reasons[12] == "role: is none of: user, admin"
        assert reasons[13].startswith("phone: ")
        assert "canary" not in str(reasons)
    assert [user.email for user in await stored(container)] == [
        "alan@example.com", "barbara@example.com", "edsger@example.com", "radia@example.com",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_every_line_ending_counts_lines(container: Container, ending: str) -> None:
    report = await load(container, ending.join(["\ufeffemail", "a@example.com", "", "b", "c@example.com", ""]))
    assert (report.rows, report.imported, rejected(report)) == (3, 2, [4])


async def test_a_quote_that_never_ends_names_the_line_it_began_on(container: Container) -> None:
    with pytest.raises(UnreadableCsv) as caught:
        await load(container, 'email,display_name\na@example.com,A\n\nb@example.com,"B\nc@example.com,C\n')
    assert caught.value.line == 4
    assert await stored(container) == [], "the batch that holds the fault is stored as a whole, or not at all"


async def test_a_field_beyond_measure_ends_the_import(container: Container) -> None:
    with pytest.raises(UnreadableCsv) as caught:
        await load(container, "email,display_name\na@example.com," + "x" * 200_000 + "\n")
    assert caught.value.line == 2


async def test_doubles_in_a_file_are_skipped_and_taken_numbers_rejected(container: Container) -> None:
    with acting_as(SYSTEM):
        gone = await container.user_service().create({"email": "gone@example.com", "phone": "+14155550101"})
        await container.user_service().delete(gone.id)
    report = await load(
        container,
        "email,phone\n"
        "ada@example.com,+14155550132\n"
        "ADA@example.com,+14155550133\n"  # 3: same address, skipped
        "alan@example.com,+1 415 555 0132\n"  # 4: Ada's number
        ",+14155550132\n"  # 5: no address, the number is there: skipped
        ",+14155550134\n"
        "Gone@Example.com,\n"  # 7: a deleted account keeps its address: skipped
        "new@example.com,+14155550101\n"  # 8: and its number
        ",+14155550101\n",  # 9: skipped
    )
    assert (report.rows, report.imported, report.skipped, rejected(report)) == (8, 2, 4, [4, 8])
    assert [(user.email, user.phone) for user in await stored(container)] == [
        ("ada@example.com", "+14155550132"),
        (None, "+14155550134"),
    ]


async def test_a_second_import_of_the_same_file_imports_nothing(container: Container) -> None:
    text = "email,phone\n" + "".join(f"user{number}@example.com,\n" for number in range(30)) + ",+14155550132\n"
    assert (await load(container, text)).imported == 31
    before = [user.updated_at for user in await stored(container)]
    report = await load(container, text)
    assert (report.rows, report.imported, report.skipped, report.rejected) == (31, 0, 31, [])
    assert [user.updated_at for user in await stored(container)] == before


async def test_rows_are_stored_in_batches_and_progress_is_told(container: Container) -> None:
    told: list[tuple[int, int]] = []
    text = "email\n" + "".join(f"user{number}@example.com\n" for number in range(2 * BATCH + 1))
    report = await load(container, text, progress=lambda so_far: told.append((so_far.rows, so_far.imported)))
    assert report.imported == await container.user_dao().count().rows() == 2 * BATCH + 1
    assert told == [(BATCH, BATCH), (2 * BATCH, 2 * BATCH), (2 * BATCH + 1, 2 * BATCH + 1)]


async def test_what_was_stored_before_the_file_broke_stays(container: Container) -> None:
    text = "email\n" + "".join(f"user{number}@example.com\n" for number in range(BATCH + 5)) + '"never closed\n'
    with pytest.raises(UnreadableCsv) as caught:
        await load(container, text)
    assert caught.value.line == BATCH + 7
    assert await container.user_dao().count().rows() == BATCH
    rest = await load(container, text.removesuffix('"never closed\n'))
    assert (rest.imported, rest.skipped) == (5, BATCH)
