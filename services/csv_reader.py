"""CSV from an asynchronous file, record by record, each with the line it begins on."""

import csv
import io
from collections.abc import AsyncIterator, Generator
from typing import Protocol

from aiocsv import AsyncReader

from services.csv_errors import UnreadableCsv


class TextFile(Protocol):
    """An open text file, read in pieces. Bytes that aren't UTF-8 are surrogates (`errors="surrogateescape"`), so
    that their line can be told; a file that raises UnicodeDecodeError does too.
    """

    async def read(self, size: int, /) -> str: ...


async def records(file: TextFile) -> AsyncIterator[tuple[int, list[str]]]:
    """Each record that isn't an empty line, with the line it begins on. Raises `UnreadableCsv`."""
    reader = _Reader(file)
    while True:
        begins = reader.line + 1
        try:
            cells = await reader.record()
            "".join(cells or ()).encode()
        except csv.Error as error:
            raise UnreadableCsv(begins, f"{error}; check the quotes of this row") from None
        except UnicodeError:
            raise UnreadableCsv(begins, "not UTF-8 from here on; convert the file") from None
        if cells is None:
            return
        if cells:
            yield begins, cells


class _Reader:
    """aiocsv's reader, fed from outside, because of two faults of its 1.4: an error or a cancellation never reaches
    the read that it awaits, which then stays as it is, locks and all; and of lines that end in CR alone it
    miscounts some and drops the last.
    """

    def __init__(self, file: TextFile) -> None:
        self._file = file
        self._endings = io.IncrementalNewlineDecoder(None, translate=True)
        self._piece: str | None = None
        self._reader = AsyncReader(self, strict=True)

    @property
    def line(self) -> int:
        """The lines read so far."""
        return self._reader.line_num

    async def record(self) -> list[str] | None:
        """The next record; None at the end."""
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

    async def _next_piece(self) -> str:
        while True:
            text = await self._file.read(4096)
            # A CR at the end of a piece is kept back until what follows it is known.
            if (lines := self._endings.decode(text, final=not text)) or not text:
                return lines
