"""Derived columns: keys that are made here of another column's text, as no database folds text by one rule.

Every way to write the text writes the key with it: a model's attribute (`User` listens), what is stored past the ORM
(`unitwork.dao.inserts.new_rows`: bulk inserts, COPY, upserts), a builder's `set`, a construct that a session executes.
Of SQL the text isn't known here: its key is NULL where the column may lack one, until `ContactCheck` makes it of what
is stored, and else it is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, inspect

from unitwork.errors.model import KeyNeedsText

MADE_OF: Final = "unitwork_made_of"
"""The key in a column's `info` for its `Derivation`."""


class Derivation(NamedTuple):
    """What a key is made of, by attribute, and by which rule."""

    source: str
    rule: Callable[[str], str]
    needed: bool
    """A row that has the text must have the key."""

    def key(self, value: Any) -> str | None:
        """The key of a value. Raises `KeyNeedsText` for SQL, where it is needed."""
        if isinstance(value, str):
            return self.rule(value)
        if value is not None and self.needed:
            raise KeyNeedsText(self.source)
        return None


def made_of(source: str, rule: Callable[[str], str], *, needed: bool) -> dict[str, Any]:
    """The `info` of a column that holds the key of another one of the same name as its attribute.

    Not a default of the column: a flush leaves None out where there is one, and rows with and without a text would no
    longer go in one INSERT.
    """
    return {MADE_OF: Derivation(source, rule, needed)}


def keys_of(model: type[Any], values: Mapping[str, Any]) -> dict[str, str | None]:
    """The keys of what is set, by attribute, but for those that are set along with it. Raises `KeyNeedsText`."""
    hashable: Any = model
    return {
        name: derivation.key(values[derivation.source])
        for name, derivation in derivations(hashable).items()
        if derivation.source in values and name not in values
    }


def with_keys(model: type[Any], names: Iterable[str]) -> list[str]:
    """The attributes, and those that are made of them."""
    hashable: Any = model
    kept = list(names)
    made = [name for name, one in derivations(hashable).items() if one.source in kept and name not in kept]
    return kept + made


@cache
def derivations(model: type[Any]) -> Mapping[str, Derivation]:
    """By attribute."""
    return {
        attribute.key: attribute.columns[0].info[MADE_OF]
        for attribute in inspect(model).column_attrs
        if isinstance(attribute.columns[0], Column) and MADE_OF in attribute.columns[0].info
    }
