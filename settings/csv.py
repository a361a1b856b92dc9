"""The section `CSV__…`: limits of an import."""

from pydantic import BaseModel, ConfigDict, Field


class CsvSettings(BaseModel):
    """Limits of an import, over HTTP and on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_bytes: int = Field(default=104_857_600, ge=1024)
    """Maximum size of a file, in bytes (over HTTP: 413 beyond it). It is read in pieces, never held in memory whole."""
    max_rows: int = Field(default=500_000, ge=1)
    """Maximum number of rows of one import; a later import can continue after them."""
