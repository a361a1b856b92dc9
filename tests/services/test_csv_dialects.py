"""Import: files as other programs write them, and as they must not be."""

import codecs
from collections.abc import Callable

import pytest

from containers import Container
from domain import User
from services.csv.delimiter import Delimiter
from services.csv.encoding import DecodedText
from services.csv.errors import CsvTooLarge, NoUsableColumn, UnknownCsvColumn, UnreadableCsv
from services.csv.import_report import ImportReport
from services.csv.reader import MAX_RECORD, records
from tests.services.csv_text import CsvText
from unitwork.models import SYSTEM, acting_as

ROWS = [["email", "display_name", "phone"], ["ada@example.com", "Lovelace; Ada, née Byron", "+14155550132"]]
QUOTED = f'"{ROWS[1][1]}"'


class CsvBytes:
    """Gives at most `piece` bytes a read, whatever is asked for."""

    def __init__(self, content: bytes, *, piece: int = 65_536) -> None:
        self._content = content
        self._piece = piece

    async def read(self, size: int, /) -> bytes:
        piece, self._content = self._content[: self._piece], self._content[self._piece :]
        return piece


async def load(container: Container, content: bytes, *, piece: int = 65_536, **options: object) -> ImportReport:
    file = DecodedText(CsvBytes(content, piece=piece), max_bytes=10_000_000)
    with acting_as(SYSTEM):
        return await container.user_csv_service().import_file(file, **options)  # type: ignore[arg-type]


async def stored(container: Container) -> list[User]:
    return await container.user_dao().query().order_by("id").all()


def file_of(delimiter: str, ending: str = "\r\n") -> str:
    return ending.join([delimiter.join(ROWS[0]), delimiter.join([ROWS[1][0], QUOTED, ROWS[1][2]]), ""])


ENCODINGS: list[Callable[[str], bytes]] = [
    str.encode,
    lambda text: codecs.BOM_UTF8 + text.encode(),
    lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
]


@pytest.mark.parametrize("encode", ENCODINGS, ids=["UTF-8", "UTF-8 with mark", "UTF-16 LE", "UTF-16 BE"])
@pytest.mark.parametrize("piece", [65_536, 3, 1])
async def test_the_file_tells_delimiter_line_ends_and_encoding(encode: Callable[[str], bytes], piece: int) -> None:
    for ending in ("\n", "\r\n", "\r"):
        for delimiter in (",", ";", "\t"):
            content = encode(file_of(delimiter, ending))
            found = [row async for row in records(DecodedText(CsvBytes(content, piece=piece), max_bytes=9999))]
            assert found == [(1, ROWS[0]), (2, ROWS[1])], (ending, delimiter)


async def test_utf_16_with_semicolons_makes_an_account(container: Container) -> None:
    report = await load(container, codecs.BOM_UTF16_LE + file_of(";").encode("utf-16-le"))
    assert (report.rows, report.imported, report.rejected) == (1, 1, [])
    [ada] = await stored(container)
    assert [ada.email, ada.display_name, ada.phone] == ROWS[1]


async def test_a_tab_inside_a_name_is_refused_by_the_rules_not_by_the_reader(container: Container) -> None:
    report = await load(container, b'email;display_name\nada@example.com;"a\tb"\n')
    assert [row.reason for row in report.rejected] == ["display_name: holds U+0009, which can't be stored; remove it"]


async def test_a_spreadsheets_own_line_names_the_delimiter(container: Container) -> None:
    report = await load(container, b"sep=;\r\nemail;a,b,c,d\r\nada@example.com;x\r\nalan;y\r\n")
    assert (report.imported, [row.line for row in report.rejected]) == (1, [4])


async def test_a_delimiter_can_be_said(container: Container) -> None:
    content = b"email|a;b;c\nada@example.com|1\n"
    report = await load(container, content, delimiter=Delimiter.PIPE)
    assert report.imported == 1


async def test_quoted_delimiters_in_the_header_do_not_mislead(container: Container) -> None:
    report = await load(container, b'"name; first; last",email\n"x; y; z",ada@example.com\n')
    assert report.imported == 1


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"email\n" + b"a@example.com\n" * 3000 + b"caf\xe9@example.com\n", 3002, "not UTF-8 from here on"),
        ("email\nünï@example.com\n".encode("cp1252"), 2, "not UTF-8"),
        (codecs.BOM_UTF32_LE + "email\n".encode("utf-32-le"), 1, "UTF-32"),
        (codecs.BOM_UTF32_BE + "email\n".encode("utf-32-be"), 1, "UTF-32"),
        ("email\nada@example.com\n".encode("utf-16-le"), 1, "holds NUL, as UTF-16 without its mark does"),
        (codecs.BOM_UTF16_LE + "email\n".encode("utf-16-le") + b"a\0b", 2, "UTF-16 that is cut short"),
        (codecs.BOM_UTF16_LE + "email\n".encode("utf-16-le") + b"\x00\xd8a\0\n\0", 2, "not UTF-16 from here on"),
        (b"email\n\n" + b"x" * 131_073 + b"\n", 3, "field larger than field limit"),
        (b"email\n\n" + b"," * (MAX_RECORD + 131_072), 3, f"a row of more than {MAX_RECORD} characters"),
        (b"," * (MAX_RECORD + 131_072), 1, f"a row of more than {MAX_RECORD} characters"),
    ],
    ids=["Latin-1 half-way", "Windows-1252", "UTF-32 LE", "UTF-32 BE", "UTF-16 without mark", "half a character",
         "half a pair", "field", "row", "header"],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_what_cannot_be_read_is_named_with_its_line(
    container: Container, content: bytes, line: int, words: str
) -> None:
    with pytest.raises(UnreadableCsv) as caught:
        await load(container, content)
    assert caught.value.line == line
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_nul_is_told_of_the_field_that_has_it_and_matters_in_no_other_cell(container: Container) -> None:
    content = b"email,phone,other\na@example.com,,x\0y\nb@ex\0ample.com,14,\nc@example.com,,\n"
    report = await load(container, content)
    assert (report.imported, [row.line for row in report.rejected]) == (2, [3])
    assert report.rejected[0].reason.startswith("email: holds U+0000, which can't be stored; remove it; also phone: ")


async def test_a_file_of_too_many_bytes_is_given_up_where_it_is_too_long(container: Container) -> None:
    class Endless(CsvBytes):
        given = 0

        async def read(self, size: int, /) -> bytes:
            if not Endless.given:
                Endless.given = 6
                return b"email\n"
            Endless.given += 1400
            return b"a@example.com\n" * 100

    with acting_as(SYSTEM), pytest.raises(CsvTooLarge, match="larger than 100000 bytes"):
        await container.user_csv_service().import_file(DecodedText(Endless(b""), max_bytes=100_000))
    assert Endless.given < 110_000


async def test_text_that_is_read_already_is_as_good(container: Container) -> None:
    with acting_as(SYSTEM):
        report = await container.user_csv_service().import_file(CsvText("email;phone\nada@example.com;\n"))
    assert report.imported == 1


async def test_a_pipe_is_the_delimiter_where_nothing_else_can_be(container: Container) -> None:
    report = await load(container, b"email|phone\nada@example.com|+14155550132\n")
    assert (report.imported, report.columns) == (1, {"email": "email", "phone": "phone"})
    assert (await load(container, b"email,a|b|c|d\neve@example.com,x\n")).imported == 1


async def test_what_old_programs_write_behind_the_last_line_is_no_row(container: Container) -> None:
    report = await load(container, b"email\r\nada@example.com\r\n\x1a")
    assert (report.rows, report.imported) == (1, 1)
    report = await load(container, b"email,display_name\neve@example.com,\x1a\n")
    assert "U+001A" in report.rejected[0].reason


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_the_line_that_names_the_columns_is_looked_for_below_notes(container: Container) -> None:
    notes = b'Notes:\n"Some of the addresses\nare missing."\n\n'
    table = b"First Name,Last Name,Email Address\nAda,Lovelace,ada@example.com\n"
    with pytest.raises(
        NoUsableColumn, match=r"Line 5 names the columns, it seems: .* --skip-lines 4, .* skip_lines=4\."
    ):
        await load(container, notes + table)
    with pytest.raises(UnknownCsvColumn, match="--skip-lines 1,"):
        await load(
            container, b"report\nwho,mail\nAda,ada@example.com\n", columns={"display_name": "who", "email": "mail"}
        )
    with pytest.raises(NoUsableColumn, match=r"If that line \(1\) doesn't name the columns"):
        await load(container, notes + b'x\n"y')
    report = await load(container, notes + table, skip_lines=4)
    assert report.imported == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_a_file_that_begins_with_data_is_told_to_name_its_columns(container: Container) -> None:
    with pytest.raises(NoUsableColumn, match=r"line 1 has an e-mail address where .* names the columns") as raised:
        await load(container, b"ada@example.com,Ada\neve@example.com,Eve\n")
    assert "@" not in str(raised.value)
