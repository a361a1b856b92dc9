"""Values that the database computes on UPDATE (`onupdate=func.now()`, `Computed`) are fetched by the flush.

SQLAlchemy fetches those of an INSERT, and loads those of an UPDATE lazily, which asyncio doesn't allow. Models without
such columns are not affected.
"""

from typing import Any

from sqlalchemy import Column, event
from sqlalchemy.orm import DeclarativeBase, Mapper


def fetch_made_values(base: type[DeclarativeBase]) -> None:
    """Fetch computed values for every model of this base, except those that set `eager_defaults` themselves."""
    event.listen(base, "mapper_configured", _fetch, propagate=True)


def _fetch(mapper: Mapper[Any], _model: type[Any]) -> None:
    root: Any = mapper.base_mapper  # a flush reads the setting from the base mapper
    if root.eager_defaults == "auto" and any(_made(column, mapper) for column in mapper.columns):
        root.eager_defaults = True


def _made(column: Any, mapper: Mapper[Any]) -> bool:
    """True if the database computes the column's value on UPDATE. The version column is excluded: the session counts
    it.
    """
    if not isinstance(column, Column) or column is mapper.version_id_col:
        return False
    onupdate: Any = column.onupdate
    return column.server_onupdate is not None or (onupdate is not None and onupdate.is_clause_element)
