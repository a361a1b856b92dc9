"""DecodedText: the bytes of a CSV file as text, whatever Unicode encoding its byte order mark tells."""

import codecs
from typing import Final, Protocol

from services.csv_errors import CsvTooLarge, UnreadableCsv

PIECE: Final = 65_536
"""Bytes asked for at once."""
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "surrogateescape"),
    (codecs.BOM_UTF32_LE, None, ""),
    (codecs.BOM_UTF32_BE, None, ""),
    (codecs.BOM_UTF16_LE, "utf-16", "surrogatepass"),
    (codecs.BOM_UTF16_BE, "utf-16", "surrogatepass"),
)
"""Byte order mark, encoding, and how what isn't text comes through, so that the reader can tell its line. UTF-32's
begins as UTF-16's does, so it is looked for first; it isn't read.
"""


class ByteFile(Protocol):
    """An open file, read in pieces of any size; an empty one is the end."""

    async def read(self, size: int, /) -> bytes: ...


class DecodedText:
    """A `TextFile`: UTF-8, or UTF-16 that begins with a byte order mark. Bytes that are neither come as surrogates.

    Raises `CsvTooLarge` beyond `max_bytes`, and `UnreadableCsv` for UTF-32.
    """

    def __init__(self, file: ByteFile, *, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._bytes = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ended = False

    async def read(self, _size: int, /) -> str:
        """The next piece, of any length; empty at the end."""
        while not self._ended:
            piece = await self._file.read(PIECE)
            self._ended = not piece
            self._bytes += len(piece)
            if self._bytes > self._max_bytes:
                raise CsvTooLarge(self._max_bytes)
            if self._decoder is None:
                while len(piece) < 4 and (more := await self._file.read(PIECE)):
                    self._bytes += len(more)
                    piece += more
                self._decoder = _decoder(piece)
            if text := self._decoder.decode(piece, final=self._ended):
                return text
        return ""


def _decoder(beginning: bytes) -> codecs.IncrementalDecoder:
    for mark, encoding, errors in MARKS:
        if beginning.startswith(mark):
            if encoding is None:
                raise UnreadableCsv(1, "UTF-32, which isn't read; convert the file to UTF-8")
            return codecs.getincrementaldecoder(encoding)(errors)
    return codecs.getincrementaldecoder("utf-8")("surrogateescape")
