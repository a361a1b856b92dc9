"""CSV reader: records of an asynchronous file, each with the line it begins on."""

import csv
import io
from collections.abc import AsyncGenerator, Generator
from threading import Lock
from typing import Final, Protocol

from aiocsv import AsyncReader

from services.csv.delimiter import Delimiter, before_header, declared_delimiter, first_record, guessed_delimiter
from services.csv.errors import TextCutShort, UnreadableCsv

MAX_RECORD: Final = 1_048_576
"""Maximum characters of a record, and of a line before the header: it is held in memory whole."""
END_OF_FILE: Final = "\x1a"
"""DOS's end-of-file mark, which some programs write after the last line."""
NUL_BYTES: Final = (
    "holds NUL; if the file is UTF-16, name it with --encoding (over HTTP encoding=), or save it as UTF-8"
)
_LIMIT: Final = Lock()
"""Held while the process-wide limit of the csv module is changed."""


class TextFile(Protocol):
    """An open text file, read in pieces.

    Bytes that can't be decoded are surrogates (`errors="surrogateescape"`), so that errors can name their line; raising
    UnicodeDecodeError is supported, too. If the file has an `encoding`, messages show it.
    """

    async def read(self, size: int, /) -> str: ...


async def records(
    file: TextFile, *, delimiter: Delimiter | None = None, skip_lines: int = 0
) -> AsyncGenerator[tuple[int, list[str]], None]:
    """Yield each record that isn't an empty line, with the line it begins on.

    The first record, after `skip_lines` lines and blank ones, is the header. Without `delimiter` it is detected from
    the header. Raises `UnreadableCsv`.
    """
    reader = _Reader(file, delimiter, skip_lines)
    header = True
    while True:
        try:
            cells = await reader.record()
            "".join(cells or ()).encode()
        except csv.Error as error:
            raise UnreadableCsv(reader.begins, f"{error}; check the quotes of this row") from None
        except TextCutShort as error:
            raise UnreadableCsv(reader.begins, str(error)) from None
        except UnicodeError:
            raise UnreadableCsv(reader.begins, _undecodable(file)) from None
        except _RecordTooLong:
            reason = f"a row of more than {MAX_RECORD} characters; check the quotes of this row"
            raise UnreadableCsv(reader.begins, reason) from None
        if cells is None:
            return
        if cells == [END_OF_FILE]:
            continue
        if header and cells and "\0" in "".join(cells):
            raise UnreadableCsv(reader.begins, NUL_BYTES)
        if cells:
            header = False
            yield reader.begins, cells


def _undecodable(file: TextFile) -> str:
    encoding = getattr(file, "encoding", "UTF-8")
    return (
        f"not {encoding} from here on; name the file's encoding with --encoding (over HTTP encoding=), as cp1252, "
        "or save it as 'CSV UTF-8'"
    )


class _RecordTooLong(Exception):
    """Raised when a record exceeds `MAX_RECORD`."""


class _Reader:
    """Feeds aiocsv's parser from outside, to avoid two faults in its version 1.4.

    An error or a cancellation isn't propagated to the read it awaits, which then keeps its locks; and with lines that
    end in CR alone, lines are miscounted and the last one is lost.
    """

    def __init__(self, file: TextFile, delimiter: Delimiter | None, skip_lines: int) -> None:
        self._file = file
        self._delimiter = delimiter
        self._skip_lines = skip_lines
        self._endings = io.IncrementalNewlineDecoder(None, translate=True)
        self._piece: str | None = None
        self._length = 0
        self._reader: AsyncReader | None = None
        self._lines_before = 0
        self.begins = 1
        """The line on which the current record begins."""

    @property
    def line(self) -> int:
        """Return the number of lines read so far."""
        return self._lines_before + (0 if self._reader is None else self._reader.line_num)

    async def record(self) -> list[str] | None:
        """Return the next record; None at the end. Raises `_RecordTooLong`, csv.Error, and what the file raises."""
        self._length, self.begins = 0, self.line + 1
        if self._reader is None:
            self._reader = await self._begun()
            self.begins = self.line + 1
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
        """Return the next piece to the parser; `record` provides it."""
        return await self

    def __await__(self) -> Generator[None, None, str]:
        while self._piece is None:
            yield
        piece, self._piece = self._piece, None
        return piece

    async def _begun(self) -> AsyncReader:
        """Return the parser, after detecting the delimiter from the whole header."""
        text, ended, begins = "", False, 0
        delimiter: str | None = None
        while True:
            end = text.find("\n", begins)
            if end < 0 and not ended:
                piece = await self._next_piece()
                text, begins, ended = text[begins:] + piece, 0, not piece
                if self._lines_before == 0:
                    text = text.lstrip("\ufeff")
                continue
            line = text[begins : end if end >= 0 else len(text)]
            delimiter = delimiter or declared_delimiter(line)
            header = self._lines_before >= self._skip_lines and not before_header(line)
            if header or end < 0:
                break
            begins, self._lines_before = end + 1, self._lines_before + 1
            self._length = len(text) - begins
        text = text[begins:] if header else ""
        while (record := first_record(text, ended=ended)) is None:
            piece = await self._next_piece()
            text, ended = text + piece, not piece
        self._piece = text
        if self._delimiter is not None:
            delimiter = self._delimiter.character
        return _parser(self, delimiter or guessed_delimiter(record))

    async def _next_piece(self) -> str:
        while True:
            text = await self._file.read(4096)
            self._length += len(text)
            if self._length > MAX_RECORD:
                raise _RecordTooLong
            # Keep back a CR at the end of a piece until the next character is known.
            if (lines := self._endings.decode(text, final=not text)) or not text:
                return lines


def _parser(file: _Reader, delimiter: str) -> AsyncReader:
    """Return a parser without a limit on cells.

    The parser reads the csv module's limit when it is created; the limit is process-wide, so it is restored at once.
    """
    with _LIMIT:
        limit = csv.field_size_limit(MAX_RECORD)
        try:
            return AsyncReader(file, strict=True, delimiter=delimiter)
        finally:
            csv.field_size_limit(limit)
