"""Bodies are JSON."""

from fastapi import Request

from app.api.errors import UnsupportedMediaType


async def json_body_only(request: Request) -> None:
    """Raises `UnsupportedMediaType` for a body that isn't declared as JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if has_body and request.method in {"POST", "PUT", "PATCH"}:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType
