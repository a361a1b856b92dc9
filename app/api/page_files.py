"""Static files of the HTML pages, served from this package, so that browsers load nothing from third parties.

Their links to each other are relative, as the application may be mounted below any path.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

PAGES: Final = Path(__file__).parent / "pages"
TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
POLICY: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def page_file(name: str, names: frozenset[str]) -> Response:
    """Return one of these files, with an ETag of its content. Raises `HTTPException` (404) for any other name."""
    if name not in names:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content, digest = _read(name)
    return Response(content, media_type=TYPES[Path(name).suffix], headers={**POLICY, "ETag": f'"{digest}"'})


@cache
def _read(name: str) -> tuple[bytes, str]:
    path = PAGES / name
    packed = path.with_name(f"{name}.gz")
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:32]
