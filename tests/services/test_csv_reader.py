"""Reading CSV: records and lines as Python's own reader sees them, in pieces of any size."""

import asyncio
import csv
import io

import pytest

from services.csv.errors import UnreadableCsv
from services.csv.reader import TextFile, records
from tests.services.csv_text import CsvText

TEXTS = [
    "a,b\n1,2\n",
    "a,b\r\n\r\n1,2\r\n\r\n3,4",
    "a\rb\r\r\rc\r",
    "a\n\r\nb\r\rc\r\n",
    'a,b\n"x\ny",2\n"""q""",\n\n,\n',
    "",
    "\n",
    "\r",
    'x,"a\r\nb\rc"\r\nlast',
    'a "b" c,d\n',
]


async def read(file: TextFile) -> list[tuple[int, list[str]]]:
    return [record async for record in records(file)]


@pytest.mark.parametrize("piece", [4096, 3, 2, 1])
async def test_records_and_lines_are_those_of_pythons_reader(piece: int) -> None:
    for text in TEXTS:
        reader = csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"), newline=""))
        expected, begins = [], 1
        for cells in reader:
            if cells:
                expected.append((begins, cells))
            begins = reader.line_num + 1
        assert await read(CsvText(text, piece=piece)) == expected, repr(text)


async def test_what_is_not_utf_8_is_told_with_its_line() -> None:
    text = (b"a\n" * 5000 + b"\xe9\n").decode(errors="surrogateescape")
    with pytest.raises(UnreadableCsv) as caught:
        await read(CsvText(text))
    assert caught.value.line == 5001
    assert "not UTF-8" in str(caught.value)


class Failing:
    """A first piece, then the error."""

    def __init__(self, error: BaseException) -> None:
        self._pieces = ["a\nb\n"]
        self._error = error
        self.open_reads = 0

    async def read(self, size: int, /) -> str:
        if self._pieces:
            return self._pieces.pop()
        self.open_reads += 1
        try:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_exception, self._error)
            await future
        finally:
            self.open_reads -= 1
        raise AssertionError


async def test_an_error_of_the_file_comes_through_and_ends_its_read() -> None:
    file = Failing(OSError("the disk is gone"))
    with pytest.raises(OSError, match="the disk is gone"):
        await read(file)
    assert file.open_reads == 0

    undecodable = Failing(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    with pytest.raises(UnreadableCsv, match="not UTF-8"):
        await read(undecodable)
    assert undecodable.open_reads == 0


async def test_a_cancelled_import_ends_its_read() -> None:
    begun = asyncio.Event()

    class Endless(CsvText):
        waiting = 0

        async def read(self, size: int, /) -> str:
            if text := await super().read(size):
                return text
            begun.set()
            Endless.waiting += 1
            try:
                await asyncio.sleep(60)
            finally:
                Endless.waiting -= 1
            return ""

    reading = asyncio.create_task(read(Endless("a\nb\n")))
    await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert Endless.waiting == 0
