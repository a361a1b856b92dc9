"""Derived columns: keys computed in Python from another column's text, as databases differ in folding text.

Each way to write the text writes its key, too: a model's attribute (`User` listens), rows stored past the ORM
(`unitwork.rows.new_rows`: bulk inserts, COPY, upserts), a builder's `set`, a construct executed by a session. If
the text is set by a SQL expression, its value isn't known here: the key is NULL if the column is optional, until
`ContactCheck` computes it from the stored text; otherwise the write is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, inspect

from unitwork.errors.model import KeyNeedsText

MADE_OF: Final = "unitwork_made_of"
"""The key in a column's `info` that holds its `Derivation`."""


class Derivation(NamedTuple):
    """The attribute a key is computed from, and the function that computes it."""

    source: str
    rule: Callable[[str], str]
    needed: bool
    """True if a row with the text must have the key."""

    def key(self, value: Any) -> str | None:
        """Return the key of a value. Raises `KeyNeedsText` for a SQL expression if the key is required."""
        if isinstance(value, str):
            return self.rule(value)
        if value is not None and self.needed:
            raise KeyNeedsText(self.source)
        return None


def made_of(source: str, rule: Callable[[str], str], *, needed: bool) -> dict[str, Any]:
    """Return the `info` of a column that holds the key of the attribute `source`. Its attribute has the column's name.

    It isn't a column default: a flush omits None for columns with defaults, so that rows with and without a text would
    need separate INSERTs.
    """
    return {MADE_OF: Derivation(source, rule, needed)}


def keys_of(model: type[Any], values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the keys of the values to be set, by attribute, except keys that are set explicitly. Raises
    `KeyNeedsText`.
    """
    hashable: Any = model
    return {
        name: derivation.key(values[derivation.source])
        for name, derivation in derivations(hashable).items()
        if derivation.source in values and name not in values
    }


def with_keys(model: type[Any], names: Iterable[str]) -> list[str]:
    """Return the attributes, followed by those derived from them."""
    hashable: Any = model
    kept = list(names)
    made = [name for name, one in derivations(hashable).items() if one.source in kept and name not in kept]
    return kept + made


@cache
def derivations(model: type[Any]) -> Mapping[str, Derivation]:
    """Return the model's derivations by attribute."""
    return {
        attribute.key: attribute.columns[0].info[MADE_OF]
        for attribute in inspect(model).column_attrs
        if isinstance(attribute.columns[0], Column) and MADE_OF in attribute.columns[0].info
    }
