"""Kinds: recognize other kinds of files sent as CSV by their first bytes, with advice for each."""

import re
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """A kind of file, as a noun, and advice to its sender, as an imperative."""

    name: str
    advice: str


_SAVE: Final = "Open it in its spreadsheet program, save it as 'CSV UTF-8', and import that"
_UNPACK: Final = "Unpack it, and import the CSV file that is in it"
_EXPORT: Final = "Have the program that wrote it export CSV, and import that"

_EXCEL: Final = Kind("an Excel workbook (.xlsx)", _SAVE)
_WORD: Final = Kind("a Word document (.docx)", _EXPORT)
_OPEN_DOCUMENT: Final = Kind("an OpenDocument spreadsheet (.ods)", _SAVE)
_NUMBERS: Final = Kind("a Numbers spreadsheet", _SAVE)
_ZIP: Final = Kind("a ZIP archive", _UNPACK)

_BEGINNINGS: Final = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        Kind("an Excel workbook of the old kind (.xls), or one with a password", _SAVE),
    ),
    (b"\x1f\x8b", Kind("compressed with gzip (.gz)", _UNPACK)),
    (b"BZh91AY&SY", Kind("compressed with bzip2 (.bz2)", _UNPACK)),
    (b"\xfd7zXZ\0", Kind("compressed with xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("compressed with zstd (.zst)", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", _UNPACK)),
    (b"Rar!\x1a\x07", Kind("a RAR archive", _UNPACK)),
    (b"%PDF-", Kind("a PDF document", _EXPORT)),
    (b"{\\rtf", Kind("a document in RTF", _EXPORT)),
    (b"SQLite format 3\0", Kind("a SQLite database", _EXPORT)),
    (b"PAR1\x15", Kind("a Parquet file", _EXPORT)),
    (b"\x89PNG\r\n", Kind("an image (PNG)", _EXPORT)),
    (b"\xff\xd8\xff", Kind("an image (JPEG)", _EXPORT)),
    (b"bplist00", Kind("a property list", _EXPORT)),
)
_TEXTS: Final = (
    (
        re.compile(rb"<(!doctype\s+html|html|head|meta|body|table|script)\b"),
        Kind(
            "an HTML page",
            "Fetch the CSV itself: a page in its place is often a log-in, or an error. If it is a table that a program "
            "has named .xls, open it in a spreadsheet program, save it as 'CSV UTF-8', and import that",
        ),
    ),
    (re.compile(rb"<\?xml\b|<!doctype\b"), Kind("XML, perhaps a spreadsheet of Excel 2003", _SAVE)),
    (
        re.compile(rb"\{\s*(\"[^\"\r\n]*\"\s*:|\}|$)|\[\s*(\{|\[|\]\s*$|\"[^\"\r\n]*\"\s*[,\]]|$)"),
        Kind("JSON", "Convert it to CSV, one line for each account, the first one naming the columns"),
    ),
    (re.compile(rb"begin:vcard\b"), Kind("a vCard file (.vcf)", _EXPORT)),
    (re.compile(rb"begin:vcalendar\b"), Kind("a calendar (.ics)", _EXPORT)),
    (re.compile(rb"(version:\s*\d+\s+)?dn::?\s"), Kind("LDIF", _EXPORT)),
    (
        re.compile(rb"--[^\r\n]{1,80}\r?\ncontent-disposition:"),
        Kind("the body of a form", "Send the file alone, or declare multipart/form-data with its boundary"),
    ),
)
_CONTROLS: Final = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1a\x1b")
"""Bytes that don't occur in text. Tabs, line ends, DOS's end-of-file mark and escape sequences do."""
_BINARY_PERCENT: Final = 10
"""Percentage of such bytes from which on a file is binary."""


def kind_of(beginning: bytes) -> Kind | None:
    """Return the kind of a file with this beginning; None if it may be CSV, in any encoding."""
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _kind_of_archive(beginning)
    for mark, kind in _BEGINNINGS:
        if beginning.startswith(mark):
            return kind
    text = beginning.lstrip().lower()
    return next((kind for pattern, kind in _TEXTS if pattern.match(text)), None)


def unmarked_utf_16(beginning: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, if nearly every second byte is zero, as for ASCII text; else
    None.
    """
    pairs = len(beginning) // 2
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = (beginning[start : 2 * pairs : 2].count(0) for start in (offset, 1 - offset))
        if pairs > 1 and zeros > pairs * 0.6 and others < pairs * 0.1:
            return encoding
    return None


def binary(beginning: bytes) -> Kind | None:
    """Return the kind of a file with too many control characters for text; else None."""
    controls = sum(byte in _CONTROLS for byte in beginning)
    return Kind("binary", _EXPORT) if controls * 100 > len(beginning) * _BINARY_PERCENT else None


def _kind_of_archive(beginning: bytes) -> Kind:
    if b"application/vnd.oasis.opendocument" in beginning:
        return _OPEN_DOCUMENT
    if b"word/" in beginning:
        return _WORD
    if b"Index/" in beginning or b".iwa" in beginning:
        return _NUMBERS
    if b"xl/" in beginning or b"[Content_Types].xml" in beginning or b"_rels/" in beginning:
        return _EXCEL
    return _ZIP
