"""Values that the database makes on UPDATE (`onupdate=func.now()`, `Computed`) come back with the flush.

SQLAlchemy fetches those of an INSERT by itself, and leaves those of an UPDATE to a later look, for which there is no
statement in asyncio. Models without such columns are left as they are: their updates stay what they were.
"""

from typing import Any

from sqlalchemy import Column, event
from sqlalchemy.orm import DeclarativeBase, Mapper


def fetch_made_values(base: type[DeclarativeBase]) -> None:
    """For every model of this base; one that says `eager_defaults` itself keeps its word."""
    event.listen(base, "mapper_configured", _fetch, propagate=True)


def _fetch(mapper: Mapper[Any], _model: type[Any]) -> None:
    root: Any = mapper.base_mapper  # the one that a flush asks
    if root.eager_defaults == "auto" and any(_made(column, mapper) for column in mapper.columns):
        root.eager_defaults = True


def _made(column: Any, mapper: Mapper[Any]) -> bool:
    """Whether an UPDATE has the database make its value. The version is counted by the session."""
    if not isinstance(column, Column) or column is mapper.version_id_col:
        return False
    onupdate: Any = column.onupdate
    return column.server_onupdate is not None or (onupdate is not None and onupdate.is_clause_element)
