"""The section `CSV__…`: how much of a file an import takes."""

from pydantic import BaseModel, ConfigDict, Field


class CsvSettings(BaseModel):
    """Limits of an import, over HTTP and on the command line."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_bytes: int = Field(default=104_857_600, ge=1024)
    """A larger file is refused from there on (over HTTP: 413). It is read in pieces, and never held whole."""
    max_rows: int = Field(default=500_000, ge=1)
    """What comes after so many rows is refused; a later import can go on from there."""
