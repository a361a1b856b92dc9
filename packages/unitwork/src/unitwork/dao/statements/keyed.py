"""keyed: add derived keys to an INSERT or UPDATE that the caller wrote (`unitwork.models.derived_columns`)."""

from typing import Any

from sqlalchemy import BindParameter, inspect

from unitwork.errors.model import KeyNeedsText
from unitwork.models.derived_columns import derivations, keys_of


def keyed(model: type[Any], statement: Any, parameters: Any) -> Any:
    """Return the statement with the derived keys of the texts it sets.

    Rows in the parameters of an INSERT get their keys. Raises `KeyNeedsText` if a key is required and the statement
    doesn't contain the text, and for an UPDATE whose parameters contain texts for each row.
    """
    hashable: Any = model
    known = derivations(hashable)
    if not known:
        return statement
    attributes = {attribute.columns[0].key: attribute.key for attribute in inspect(model).column_attrs}
    values = statement._values or {}  # noqa: SLF001 - the values of `values()` have no public name
    given = {attributes.get(getattr(one, "key", one), one): _literal(value) for one, value in values.items()}
    rows = parameters if isinstance(parameters, list) else [] if values else [parameters or {}]
    for row in rows if statement.is_update else ():
        for name, one in known.items():
            if one.source in row and one.source not in given and name not in row:
                raise KeyNeedsText(one.source)
    keys = keys_of(model, given)
    return statement.values(**keys) if keys else statement


def _literal(value: Any) -> Any:
    """Return the value of a bind parameter in the statement; SQL, and values unknown before execution, are returned
    unchanged.
    """
    known = isinstance(value, BindParameter) and not value.required and value.callable is None
    return value.value if known else value
