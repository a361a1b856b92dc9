"""Files of other kinds that are sent as CSV: each is named, with what to do."""

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import random
import zipfile

import pytest

from services.csv.encoding import DecodedText, text_encoding
from services.csv.errors import NotCsv, UnknownEncoding, UnreadableCsv
from services.csv.reader import records
from tests.services.test_csv_dialects import CsvBytes

ROWS = "email,display_name\nada@example.com,Zoë\n"


async def read(content: bytes, *, piece: int = 65_536, encoding: str | None = None, skip: int = 0) -> list[list[str]]:
    text = DecodedText(CsvBytes(content, piece=piece), max_bytes=1 << 24, encoding=encoding)
    return [cells async for _, cells in records(text, skip_lines=skip)]


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name in names:
            opened.writestr(name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x")
    return file.getvalue()


KINDS = [
    (archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook (.xlsx)", "save it as 'CSV UTF-8'"),
    (archive("mimetype", "content.xml"), "an OpenDocument spreadsheet (.ods)", "save it as 'CSV UTF-8'"),
    (archive("Index/Document.iwa"), "a Numbers spreadsheet", "save it"),
    (archive("people.csv"), "a ZIP archive", "Unpack it"),
    (archive(), "a ZIP archive", "Unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "(.xls)", "save it as 'CSV UTF-8'"),
    (gzip.compress(ROWS.encode()), "gzip", "Unpack it"),
    (bz2.compress(ROWS.encode()), "bzip2", "Unpack it"),
    (lzma.compress(ROWS.encode()), "xz", "Unpack it"),
    (b"%PDF-1.7\n%\xe2\xe3", "a PDF document", "export CSV"),
    (b"{\\rtf1\\ansi", "RTF", "export CSV"),
    (b"\r\n <!DOCTYPE html>\n<html>", "an HTML page", "log-in"),
    (b"<table><tr><td>email", "an HTML page", "Fetch the CSV itself"),
    (b'<?xml version="1.0"?><Workbook>', "XML", "save it as 'CSV UTF-8'"),
    (codecs.BOM_UTF8 + b'{"items": []}', "JSON", "Convert it"),
    (codecs.BOM_UTF16_LE + "<html>".encode("utf-16-le"), "an HTML page", "Fetch"),
    (json.dumps([{"email": "a@example.com"}], indent=2).encode(), "JSON", "Convert it"),
    (b'["email", "phone"]\n', "JSON", "Convert it"),
    (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "vCard", "export CSV"),
    (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "a calendar (.ics)", "export CSV"),
    (b"<table border=1><tr><td>email", "an HTML page", "named .xls, open it in a spreadsheet program"),
    (b"version: 1\ndn: cn=Ada\n", "LDIF", "export CSV"),
    (b'--x1\r\nContent-Disposition: form-data; name="file"\r\n', "the body of a form", "boundary"),
    (b"SQLite format 3\0\x10", "SQLite", "export CSV"),
    (bytes(range(1, 9)) * 9, "binary", "export CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "kind", "advice"), KINDS, ids=[kind for _, kind, _ in KINDS])
@pytest.mark.parametrize("piece", [65_536, 1])
async def test_a_file_of_another_kind_is_named_with_what_to_do(
    content: bytes, kind: str, advice: str, piece: int
) -> None:
    for encoding in (None, "cp1252"):
        if kind == "binary" and encoding is not None:
            continue  # any bytes are some text of it
        with pytest.raises(NotCsv) as caught:
            await read(content, piece=piece, encoding=encoding)
        assert kind in str(caught.value)
        assert advice in str(caught.value)
        assert caught.value.line == 1
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"[email],[name]\n1,2\n", b"{email},name\n1,2\n", b"PAR1,BZh\n1,2\n", b"<email>,<name>\n1,2\n", b"PK,id\n1,2\n",
     b"dn,mail\n1,2\n", b"version:v1.0,\n1,2\n", b"--,email\n1,2\n", "électronique,名\n1,2\n".encode()],
)  # fmt: skip
async def test_what_only_looks_a_little_like_another_kind_is_csv(content: bytes) -> None:
    assert (await read(content))[1] == ["1", "2"]


async def test_random_bytes_are_never_a_traceback() -> None:
    chance = random.Random(18)
    print("seed 18")
    for _ in range(300):
        content = chance.randbytes(chance.randrange(900))
        for encoding in (None, "utf-16", "shift_jis", "gb18030", "iso2022_jp", "utf-32-le"):
            with contextlib.suppress(UnreadableCsv):
                await read(content, encoding=encoding)


@pytest.mark.parametrize(("encoding", "named"), [("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")])
async def test_utf_16_without_its_mark_is_recognised_and_read_when_named(encoding: str, named: str) -> None:
    content = ROWS.encode(encoding)
    with pytest.raises(UnreadableCsv, match=f"--encoding {named}"):
        await read(content)
    assert (await read(content, encoding=encoding, piece=3))[1] == ["ada@example.com", "Zoë"]


@pytest.mark.parametrize("cut", [1, 3, 601])
async def test_utf_16_that_is_cut_short_is_named_in_its_last_line(cut: int) -> None:
    content = codecs.BOM_UTF16_LE + (ROWS * 400).encode("utf-16-le")
    with pytest.raises(UnreadableCsv, match="UTF-16 that is cut short") as caught:
        await read(content[:-cut])
    assert caught.value.line == content[:-cut].count(b"\n\0") + 1


async def test_a_mark_counts_before_what_was_said() -> None:
    for content in (codecs.BOM_UTF8 + ROWS.encode(), codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be")):
        assert (await read(content, encoding="cp1252"))[1] == ["ada@example.com", "Zoë"]


async def test_what_an_encoding_does_not_have_is_named_with_its_line() -> None:
    with pytest.raises(UnreadableCsv, match="line 3: not SHIFT_JIS from here on"):
        await read("email\n山\n".encode("shift_jis") + b"\x81\n", encoding="shift-jis")
    with pytest.raises(UnreadableCsv, match="line 2: not CP1252"):
        await read(b"email\n\x81\n", encoding="latin-1")


@pytest.mark.parametrize("name", ["klingon", "", "base64", "hex", "rot13", "zlib", "idna", "punycode", "unicode_escape",
                                  "undefined", "utf-7", "x" * 5000, "a\0b"])  # fmt: skip
def test_what_is_no_encoding_of_text_is_refused(name: str) -> None:
    with pytest.raises(UnknownEncoding):
        text_encoding(name)


@pytest.mark.parametrize("piece", [65_536, 5, 1])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_lines_before_the_header_are_left_out_and_counted(piece: int, ending: str) -> None:
    lines = ["report; made, today", "", 'a "quote', ";;", "email;name", "x@example.com;X"]
    content = ending.join(lines).encode()
    text = DecodedText(CsvBytes(content, piece=piece), max_bytes=1 << 20)
    found = [record async for record in records(text, skip_lines=3)]
    assert found == [(5, ["email", "name"]), (6, ["x@example.com", "X"])]
    assert await read(content, piece=piece, skip=6) == []


@pytest.mark.parametrize("piece", [65_536, 2, 1])
@pytest.mark.parametrize(
    ("text", "header"),
    [
        ('"Full\nname, or; not";email;"x;\n\n"', ["Full\nname, or; not", "email", "x;\n\n"]),
        ('"say ""a,b,c""\n"\temail', ['say "a,b,c"\n', "email"]),
        ('5" screen;email', ['5" screen', "email"]),
        ('a;5" screen;email\n', ['a', '5" screen', "email"]),
        ('"a,b"', ["a,b"]),
        ("sep=|\nemail|a,b", ["email", "a,b"]),
        ("\n;;;\n\nemail;b,c;d", ["email", "b,c", "d"]),
        ('sep=,,,\n"a";b;c,', ["a", "b", "c,"]),
        ('"sep=,";;\na;b;c', ["a", "b", "c"]),
    ],
)  # fmt: skip
async def test_the_delimiter_is_found_over_the_whole_first_record(text: str, header: list[str], piece: int) -> None:
    assert (await read(text.encode(), piece=piece))[0] == header


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp1251", "koi8-r", "mac_roman", "iso8859-7"])
async def test_a_file_of_utf_8_is_not_misread_as_another_encoding(encoding: str) -> None:
    with pytest.raises(UnreadableCsv, match="the file is UTF-8, and would be misread as") as raised:
        await read(ROWS.encode(), encoding=encoding)
    assert "leave out --encoding" in str(raised.value)
    assert await read(b"email\nada@example.com\n", encoding=encoding) == [["email"], ["ada@example.com"]]


@pytest.mark.parametrize("encoding", ["cp932", "gbk", "big5", "euc_kr"])
async def test_one_character_that_is_utf_8_by_chance_tells_nothing_of_an_encoding_of_pairs(encoding: str) -> None:
    with pytest.raises(UnreadableCsv, match="the file is UTF-8"):
        await read("email,name\na@example.com,山田太郎李\n".encode(), encoding=encoding)
    assert await read("email,name\na@example.com,小\n".encode("gbk"), encoding="gbk") == [
        ["email", "name"],
        ["a@example.com", "小"],
    ]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "Zoë Ætt Øre"),
        ("cp1251", "ЁЛКА «Юрій» №5"),
        ("koi8-r", "Зоя"),
        ("cp932", "ｱﾘｽ山田"),
        ("cp1253", "Ψυχή"),
    ],
)
async def test_what_is_in_the_named_encoding_is_read_by_it(encoding: str, name: str) -> None:
    assert (await read(f"name\n{name}\n".encode(encoding), encoding=encoding))[1] == [name]
