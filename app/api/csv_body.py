"""The file of a request: its body, or the one file of a form."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.api.errors import UnsupportedMediaType
from services.csv_encoding import ByteFile

MEDIA_TYPES: Final = ("text/csv", "text/tab-separated-values")
FORM: Final = "multipart/form-data"
CHARSETS: Final = ("utf-8", "utf8", "us-ascii", "utf-16")
EXPECTED: Final = f"a CSV file in UTF-8, with the header Content-Type: text/csv, or as the one file of {FORM}"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
CONTENT: Final[dict[str, Any]] = {
    **dict.fromkeys(MEDIA_TYPES, _BINARY),
    FORM: {"schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}},
}
"""For OpenAPI, which can't see what is read here."""


@asynccontextmanager
async def csv_body(request: Request) -> AsyncIterator[ByteFile]:
    """The file, for the block: a body as it arrives, a form's file once it has arrived. Raises `UnsupportedMediaType`.

    Nothing of it is in memory but a piece; a form's file waits on disk.
    """
    declared = Message()
    declared["content-type"] = request.headers.get("content-type", "")
    media_type, charset = declared.get_content_type(), declared.get_param("charset", "utf-8")
    if media_type in MEDIA_TYPES and str(charset).lower() in CHARSETS and "content-type" in request.headers:
        yield _Arriving(request)
        return
    if media_type != FORM:
        raise UnsupportedMediaType(EXPECTED)
    async with request.form(max_files=1, max_fields=0) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise UnsupportedMediaType(EXPECTED)
        yield files[0]


class _Arriving:
    """The body, in pieces as they arrive."""

    def __init__(self, request: Request) -> None:
        self._pieces: AsyncGenerator[bytes, None] = request.stream()

    async def read(self, _size: int, /) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
