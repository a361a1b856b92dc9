"""Derived columns: keys that are made here of another column's text, as no database folds text by one rule.

Every way to write the text writes the key with it: a model's attribute (`User` listens), an INSERT (a column default,
so that bulk inserts, COPY and upserts have it too), a builder's `set`. Of SQL the text isn't known here: its key is
NULL where the column may lack one, until `ContactCheck` makes it of what is stored, and else it is refused.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypedDict

from sqlalchemy import Column, inspect
from sqlalchemy.engine.default import DefaultExecutionContext

from domain.bulk_defaults import gives_many
from domain.errors import KeyNeedsText

MADE_OF: Final = "gatehouse_made_of"
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


class DerivedColumn(TypedDict):
    """What `mapped_column` is told of one."""

    default: Callable[[DefaultExecutionContext], str | None]
    info: dict[str, Any]


def made_of(source: str, rule: Callable[[str], str], *, needed: bool, **info: Any) -> DerivedColumn:
    """A column that holds the key of another one of the same name as its attribute."""
    derivation = Derivation(source, rule, needed)

    def default(context: DefaultExecutionContext) -> str | None:
        parameters: dict[str, Any] = context.get_current_parameters(isolate_multiinsert_groups=True)  # type: ignore[no-untyped-call]  # SQLAlchemy left it untyped
        return derivation.key(parameters.get(source))

    def many(_context: Any, columns: Mapping[str, Sequence[Any]], count: int) -> Sequence[str | None]:
        return [derivation.key(value) for value in columns.get(source, [None] * count)]

    gives_many(default, many)
    return {"default": default, "info": {MADE_OF: derivation, **info}}


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
