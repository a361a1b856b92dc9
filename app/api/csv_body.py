"""CsvBody: the file of a request, which is its body, or the one file of a form whose other fields are options."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.requests import Request

from app.api.body_limit import ENVELOPE_BYTES
from app.api.errors import UnsupportedMediaType
from app.api.media_type import declared
from services.csv.encoding import ByteFile, text_encoding
from services.csv.errors import UnknownEncoding

MEDIA_TYPES: Final = ("text/csv", "text/tab-separated-values")
FORM: Final = "multipart/form-data"
MAX_FIELDS: Final = 100
EXPECTED: Final = (
    "a CSV file, with the header Content-Type: text/csv (and a charset that is known, where it isn't UTF-8), "
    f"or as the one file of {FORM}"
)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
CONTENT: Final[dict[str, Any]] = {
    **dict.fromkeys(MEDIA_TYPES, _BINARY),
    FORM: {"schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}},
}
"""OpenAPI description of the body, which FastAPI can't derive as it is read here."""


class CsvBody(NamedTuple):
    """The file, its declared encoding (None for UTF-8 or when none is declared), and the other fields of its form."""

    file: ByteFile
    encoding: str | None
    fields: Sequence[tuple[str, str]] = ()


@asynccontextmanager
async def csv_body(request: Request) -> AsyncIterator[CsvBody]:
    """Open the file of a request for the block: a plain body while it arrives, a form's file once it has arrived
    completely, on disk. Never held in memory whole. Raises `UnsupportedMediaType`, also for an unknown charset.
    """
    media_type, charset = declared(request.headers)
    if media_type in MEDIA_TYPES:
        yield CsvBody(_Arriving(request), _encoding(charset))
        return
    if media_type != FORM:
        raise UnsupportedMediaType(EXPECTED, headers={"Accept": ", ".join((*MEDIA_TYPES, FORM))})
    async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=ENVELOPE_BYTES) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise UnsupportedMediaType(EXPECTED)
        fields = [(name, text) for name, text in form.multi_items() if isinstance(text, str)]
        yield CsvBody(files[0], _encoding(_charset_of(files[0])), fields)


def _charset_of(file: UploadFile) -> str:
    return declared(Headers({"content-type": file.content_type or "application/octet-stream"}))[1]


def _encoding(charset: str) -> str | None:
    """Return the declared encoding. Raises `UnsupportedMediaType` for an unknown one."""
    try:
        encoding = text_encoding(charset) if charset else "utf-8"
    except UnknownEncoding:
        raise UnsupportedMediaType(EXPECTED) from None
    return None if encoding == "utf-8" else encoding


class _Arriving:
    """Reader of the body that yields pieces as they arrive."""

    def __init__(self, request: Request) -> None:
        self._pieces: AsyncGenerator[bytes, None] = request.stream()

    async def read(self, _size: int, /) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
