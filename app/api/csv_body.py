"""The file of a request: its body, or the one file of a form, whose other fields are options."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.api.body_limit import ENVELOPE
from app.api.errors import UnsupportedMediaType
from app.api.media_type import declared
from services.csv_encoding import ByteFile

MEDIA_TYPES: Final = ("text/csv", "text/tab-separated-values")
FORM: Final = "multipart/form-data"
CHARSETS: Final = ("", "utf-8", "utf8", "us-ascii", "utf-16")
MAX_FIELDS: Final = 100
EXPECTED: Final = f"a CSV file in UTF-8, with the header Content-Type: text/csv, or as the one file of {FORM}"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
CONTENT: Final[dict[str, Any]] = {
    **dict.fromkeys(MEDIA_TYPES, _BINARY),
    FORM: {"schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}},
}
"""For OpenAPI, which can't see what is read here."""


class CsvBody(NamedTuple):
    """The file, and the fields of the form it came in, as they were sent."""

    file: ByteFile
    fields: Sequence[tuple[str, str]] = ()


@asynccontextmanager
async def csv_body(request: Request) -> AsyncIterator[CsvBody]:
    """The file, for the block: a body as it arrives, a form's file once it has arrived. Raises `UnsupportedMediaType`.

    Nothing of it is in memory but a piece; a form's file waits on disk.
    """
    media_type, charset = declared(request.headers)
    if media_type in MEDIA_TYPES and charset in CHARSETS:
        yield CsvBody(_Arriving(request))
        return
    if media_type != FORM:
        raise UnsupportedMediaType(EXPECTED, headers={"Accept": ", ".join((*MEDIA_TYPES, FORM))})
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=ENVELOPE) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise UnsupportedMediaType(EXPECTED)
        yield CsvBody(files[0], [(name, text) for name, text in form.multi_items() if isinstance(text, str)])


class _Arriving:
    """The body, in pieces as they arrive."""

    def __init__(self, request: Request) -> None:
        self._pieces: AsyncGenerator[bytes, None] = request.stream()

    async def read(self, _size: int, /) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
