"""CSV text as the import reads it: an asynchronous text file, in memory."""

import io


class CsvText:
    """Gives at most `piece` characters a read, whatever is asked for; counts the reads."""

    def __init__(self, text: str, *, piece: int = 4096) -> None:
        self._text = io.StringIO(text, newline="")
        self._piece = piece
        self.reads = 0

    async def read(self, size: int, /) -> str:
        self.reads += 1
        return self._text.read(min(size, self._piece))
