"""`/docs`: Swagger UI, served from files of this package. Not served in production."""

from typing import Final

from fastapi import APIRouter, Response

from app.api.page_files import page_file

router = APIRouter(include_in_schema=False)

FILES: Final = frozenset({"docs.js", "swagger-ui.css", "swagger-ui.js"})


@router.get("/docs")
async def docs() -> Response:
    """The page."""
    return page_file("docs.html", frozenset({"docs.html"}))


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """Serve a script or style sheet of the page."""
    return page_file(name, FILES)
