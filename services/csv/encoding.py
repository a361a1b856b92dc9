"""DecodedText: decode a CSV file by its byte order mark, or by the encoding that the caller gives."""

import codecs
from typing import Final, Protocol

from services.csv.errors import CsvTooLarge, NotCsv, TextCutShort, UnknownEncoding, UnreadableCsv
from services.csv.kinds import binary, kind_of, unmarked_utf_16

PIECE: Final = 65_536
"""Bytes in one read."""
BEGINNING: Final = 512
"""Minimum number of bytes to inspect before decoding starts."""
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, None),
    (codecs.BOM_UTF32_BE, None),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks with their encodings, None if unsupported. UTF-32's begin like UTF-16's, so they come first."""
UNMARKED: Final = (
    "holds NUL, as UTF-16 without its mark does; name it with --encoding {0} (over HTTP encoding={0}), "
    "or save it as 'CSV UTF-8'"
)
MISREAD: Final = (
    "the file is UTF-8, and would be misread as {}: leave out --encoding "
    "(over HTTP encoding=, and charset= of Content-Type)"
)
SEVERAL: Final = 4
"""Number of multi-byte UTF-8 characters that don't occur by chance in a file of another multi-byte encoding; in a
single-byte encoding even one is improbable.
"""
_NO_TEXT: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"})
"""Codecs that aren't encodings of text files: for host names, source code, and mail."""
_MEANT: Final = {"iso8859-1": "cp1252", "ascii": "utf-8"}
"""Encodings that are commonly misnamed: text labelled Latin-1 is Windows-1252
(https://encoding.spec.whatwg.org/#names-and-labels). The control characters that differ couldn't be stored anyway.
"""


class ByteFile(Protocol):
    """An open binary file. `read` returns any number of bytes; none at the end."""

    async def read(self, size: int, /) -> bytes: ...


def text_encoding(name: str) -> str:
    """Return the canonical name of an encoding. Raises `UnknownEncoding`."""
    try:
        found = codecs.lookup(name.strip())
        codecs.getincrementaldecoder(found.name)
        "a".encode(found.name)  # refuses codecs such as base64, which `lookup` accepts
    except (LookupError, ValueError):
        raise UnknownEncoding(name) from None
    if found.name.replace("_", "-") in _NO_TEXT:
        raise UnknownEncoding(name)
    return _MEANT.get(found.name, found.name)


class DecodedText:
    """A `TextFile` in the given `encoding`, else UTF-8; a byte order mark takes precedence. Undecodable bytes become
    surrogates.

    Raises `CsvTooLarge` beyond `max_bytes`, `NotCsv` for a file recognized as another kind, `UnreadableCsv` for UTF-32,
    and `TextCutShort`.
    """

    def __init__(self, file: ByteFile, *, max_bytes: int, encoding: str | None = None) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._named = None if encoding is None else text_encoding(encoding)
        self._bytes = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False
        self.encoding = (self._named or "utf-8").upper()
        """The encoding, as messages show it."""

    async def read(self, _size: int, /) -> str:
        """Return the next piece of text, of any length; empty at the end."""
        while not self._ended:
            piece = await self._next_piece()
            if self._decoder is None:
                while len(piece) < BEGINNING and (more := await self._next_piece()):
                    piece += more
                self._decoder = self._decoder_for(piece[:BEGINNING])
                if self._decodes_otherwise and _utf_8(piece, at_least=1 if self._of_single_bytes else SEVERAL):
                    raise UnreadableCsv(1, MISREAD.format(self.encoding))
            self._ended = not piece
            try:
                text = self._decoder.decode(piece, final=self._ended)
            except UnicodeDecodeError:
                if self._ended:
                    raise TextCutShort(self.encoding) from None
                raise
            if text:
                return text
        return ""

    @property
    def _decodes_otherwise(self) -> bool:
        return not self.encoding.startswith("UTF")

    @property
    def _of_single_bytes(self) -> bool:
        return len(bytes(range(0xA1, 0xC0)).decode(self.encoding, "replace")) == 0xC0 - 0xA1

    async def _next_piece(self) -> bytes:
        piece = await self._file.read(PIECE)
        self._bytes += len(piece)
        if self._bytes > self._max_bytes:
            raise CsvTooLarge(self._max_bytes)
        return piece

    def _decoder_for(self, beginning: bytes) -> codecs.IncrementalDecoder:
        encoding = self._named or "utf-8"
        for mark, marked in MARKS:
            if beginning.startswith(mark):
                if marked is None:
                    raise UnreadableCsv(1, "UTF-32, which isn't read; convert the file to UTF-8")
                encoding = marked
                if (kind := kind_of(beginning.decode(marked, "ignore").encode())) is not None:
                    raise NotCsv(*kind)
                break
        else:
            self._refuse_other_kinds(beginning)
        self.encoding = encoding.removesuffix("-sig").upper()
        errors = "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        return codecs.getincrementaldecoder(encoding)(errors)

    def _refuse_other_kinds(self, beginning: bytes) -> None:
        kind = kind_of(beginning)
        if kind is None and self._named is None:
            if (order := unmarked_utf_16(beginning)) is not None:
                raise UnreadableCsv(1, UNMARKED.format(order))
            kind = binary(beginning)
        if kind is not None:
            raise NotCsv(*kind)


def _utf_8(piece: bytes, *, at_least: int) -> bool:
    """True if the bytes are UTF-8, possibly truncated at either end, with this many multi-byte characters at least."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(piece)
    except UnicodeDecodeError:
        return False
    return sum(character > "\x7f" for character in text) >= at_least
