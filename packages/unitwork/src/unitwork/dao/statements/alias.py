"""Alias: a model mapped to a subquery.

Conditions must refer to the alias: a reference to the table would add a cross join with the subquery.
"""

from typing import Any

from sqlalchemy import Column, FromClause, Select, inspect
from sqlalchemy.orm import aliased
from sqlalchemy.sql import visitors
from sqlalchemy.sql.selectable import SelectBase

from unitwork.dao.statements.comparison import Comparison
from unitwork.errors.query import OutsideSubquery


def alias_of(model: type[Any], subquery: FromClause | Select[Any]) -> Any:
    """Return an alias of the model over the subquery. Raises ValueError, naming the columns it lacks."""
    source = subquery.subquery() if isinstance(subquery, SelectBase) else subquery
    missing = [
        attribute.key
        for attribute in inspect(model).column_attrs
        if any(source.corresponding_column(part) is None for part in attribute.columns)
    ]
    if missing:
        msg = f"this subquery is no {model.__name__}: it lacks {', '.join(missing)}. Select the whole model in it."
        raise ValueError(msg)
    return aliased(model, source)


def over_alias(condition: Any, model: type[Any], alias: Any) -> Any:
    """Rewrite the condition to refer to the alias instead of the model. Raises `OutsideSubquery` if a nested subquery
    selects from the model's table, which is ambiguous.
    """
    if isinstance(condition, Comparison):
        return condition
    table = inspect(model).local_table

    def replaced(element: Any, **_options: Any) -> Any:
        if isinstance(element, Select | SelectBase):
            if any(isinstance(part, Column) and part.table is table for part in visitors.iterate(element)):
                raise OutsideSubquery(model.__name__)
            return element
        if isinstance(element, Column) and table.c.get(element.key) is not None and _of(element, table):
            return getattr(alias, inspect(model).get_property_by_column(table.c[element.key]).key)
        return None

    return visitors.replacement_traverse(condition, {}, replaced)


def _of(element: Any, table: FromClause) -> bool:
    return bool(element.table is table or getattr(element.table, "_deannotate", lambda: None)() is table)
