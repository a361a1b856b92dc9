"""The file of a request: its body, or the one file of a form."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any, Final, NamedTuple

from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.api.errors import UnsupportedMediaType
from services.csv_encoding import ByteFile, text_encoding
from services.csv_errors import UnknownEncoding

MEDIA_TYPES: Final = ("text/csv", "text/tab-separated-values")
FORM: Final = "multipart/form-data"
EXPECTED: Final = (
    "a CSV file, with the header Content-Type: text/csv (and a charset that is known, where it isn't UTF-8), "
    f"or as the one file of {FORM}"
)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
CONTENT: Final[dict[str, Any]] = {
    **dict.fromkeys(MEDIA_TYPES, _BINARY),
    FORM: {"schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}},
}
"""For OpenAPI, which can't see what is read here."""


class CsvBody(NamedTuple):
    """A file, and the encoding that its sender declares; None for UTF-8, and where nothing is declared."""

    file: ByteFile
    encoding: str | None


@asynccontextmanager
async def csv_body(request: Request) -> AsyncIterator[CsvBody]:
    """The file, for the block: a body as it arrives, a form's file once it has arrived. Raises `UnsupportedMediaType`,
    also for a charset that isn't known.

    Nothing of it is in memory but a piece; a form's file waits on disk.
    """
    media_type, encoding = _declared(request.headers.get("content-type", ""))
    if media_type in MEDIA_TYPES and "content-type" in request.headers:
        yield CsvBody(_Arriving(request), encoding)
        return
    if media_type != FORM:
        raise UnsupportedMediaType(EXPECTED)
    async with request.form(max_files=1, max_fields=0) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise UnsupportedMediaType(EXPECTED)
        yield CsvBody(files[0], _declared(files[0].content_type or "")[1])


def _declared(content_type: str) -> tuple[str, str | None]:
    """Media type and encoding."""
    declared = Message()
    declared["content-type"] = content_type
    charset = declared.get_param("charset")
    try:
        encoding = text_encoding(str(charset)) if charset else "utf-8"
    except UnknownEncoding:
        raise UnsupportedMediaType(EXPECTED) from None
    return declared.get_content_type(), None if encoding == "utf-8" else encoding


class _Arriving:
    """The body, in pieces as they arrive."""

    def __init__(self, request: Request) -> None:
        self._pieces: AsyncGenerator[bytes, None] = request.stream()

    async def read(self, _size: int, /) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
