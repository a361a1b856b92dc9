"""CSV from an asynchronous file, record by record, each with the line it begins on."""

import csv
import io
from collections.abc import AsyncGenerator, Generator
from typing import Final, Protocol

from aiocsv import AsyncReader

from services.csv_delimiter import Delimiter, declared_delimiter, guessed_delimiter
from services.csv_errors import UnreadableCsv

MAX_RECORD: Final = 1_048_576
"""Characters of one row, and of the lines that come before the header. A longer row would be held in memory whole."""
NOT_UNICODE: Final = "not UTF-8 from here on; convert the file"
NUL_BYTES: Final = "holds NUL; if the file is UTF-16, convert it to UTF-8"


class TextFile(Protocol):
    """An open text file, read in pieces. Bytes that aren't UTF-8 are surrogates (`errors="surrogateescape"`), so
    that their line can be told; a file that raises UnicodeDecodeError does too.
    """

    async def read(self, size: int, /) -> str: ...


async def records(file: TextFile, *, delimiter: Delimiter | None = None) -> AsyncGenerator[tuple[int, list[str]], None]:
    """Each record that isn't an empty line, with the line it begins on; the first one names the columns. Without
    `delimiter` the header tells it. Raises `UnreadableCsv`.
    """
    reader = _Reader(file, delimiter)
    header = True
    while True:
        begins = reader.line + 1
        try:
            cells = await reader.record()
            "".join(cells or ()).encode()
        except csv.Error as error:
            raise UnreadableCsv(begins, f"{error}; check the quotes of this row") from None
        except UnicodeError:
            raise UnreadableCsv(begins, NOT_UNICODE) from None
        except _RecordTooLong:
            reason = f"a row of more than {MAX_RECORD} characters; check the quotes of this row"
            raise UnreadableCsv(begins, reason) from None
        if cells is None:
            return
        if header and cells and "\0" in "".join(cells):
            raise UnreadableCsv(begins, NUL_BYTES)
        if cells:
            header = False
            yield begins, cells


class _RecordTooLong(Exception):
    """A row is longer than is held in memory."""


class _Reader:
    """aiocsv's reader, fed from outside, because of two faults of its 1.4: an error or a cancellation never reaches
    the read that it awaits, which then stays as it is, locks and all; and of lines that end in CR alone it
    miscounts some and drops the last.
    """

    def __init__(self, file: TextFile, delimiter: Delimiter | None) -> None:
        self._file = file
        self._delimiter = delimiter
        self._endings = io.IncrementalNewlineDecoder(None, translate=True)
        self._piece: str | None = None
        self._length = 0
        self._reader: AsyncReader | None = None
        self._lines_before = 0

    @property
    def line(self) -> int:
        """The lines read so far."""
        return self._lines_before + (0 if self._reader is None else self._reader.line_num)

    async def record(self) -> list[str] | None:
        """The next record; None at the end. Raises `_RecordTooLong`, csv.Error, and what the file raises."""
        self._length = 0
        if self._reader is None:
            self._reader = await self._begun()
        step = self._reader.__anext__()
        while True:
            try:
                step.send(None)
            except StopIteration as found:
                cells: list[str] = found.value
                return cells
            except StopAsyncIteration:
                return None
            self._piece = await self._next_piece()

    async def read(self, _size: int, /) -> str:
        """What the reader awaits: the next piece, which `record` puts in its place meanwhile."""
        return await self

    def __await__(self) -> Generator[None, None, str]:
        while self._piece is None:
            yield
        piece, self._piece = self._piece, None
        return piece

    async def _begun(self) -> AsyncReader:
        """The parser, once the first line that isn't empty has told the delimiter."""
        text = ""
        while (piece := await self._next_piece()) and "\n" not in (text + piece).lstrip("\n"):
            text += piece
        text += piece
        blank = len(text) - len(text.lstrip("\n"))
        line, _, rest = text[blank:].partition("\n")
        delimiter = declared_delimiter(line)
        if delimiter is not None:
            self._lines_before = blank + 1
            text = rest
        if self._delimiter is not None:
            delimiter = self._delimiter.character
        self._piece = text
        return AsyncReader(self, strict=True, delimiter=delimiter or guessed_delimiter(line))

    async def _next_piece(self) -> str:
        while True:
            text = await self._file.read(4096)
            self._length += len(text)
            if self._length > MAX_RECORD:
                raise _RecordTooLong
            # A CR at the end of a piece is kept back until what follows it is known.
            if (lines := self._endings.decode(text, final=not text)) or not text:
                return lines
