"""References: foreign keys between models of one store. References to a model without a DAO are not checked."""

from collections.abc import Iterable, Iterator

from sqlalchemy import ForeignKeyConstraint, Table

from unitwork.errors import ForeignKeyViolation
from unitwork.testing.fakes.errors import NotFaked
from unitwork.testing.fakes.rows.constraints import FOREIGN_KEY
from unitwork.testing.fakes.rows.store import View
from unitwork.testing.fakes.rows.table import Identity
from unitwork.testing.fakes.rows.values import Values

Place = tuple[Table, Identity]
"""The table and primary key of a row."""


def check_references(view: View, written: Iterable[Place], removed: Iterable[tuple[Table, Values]]) -> None:
    """Check foreign keys at the end of a statement or a flush, including deferred ones.

    `written` rows must refer to existing rows, and no row may refer to a `removed` one. Raises `ForeignKeyViolation`.
    """
    for table, identity in written:
        values = view.get(table, identity)
        for foreign in table.foreign_key_constraints:
            if values is not None and not _refers_to_a_row(view, foreign, values):
                raise _violation(foreign, foreign.columns.keys())
    for table, gone in removed:
        for foreign, _child, _identity in referring(view, table, gone):
            raise _violation(foreign, [element.column.name for element in foreign.elements])


def follow_deletion(view: View, table: Table, gone: Values) -> Iterator[tuple[Table, Identity, Values, Values | None]]:
    """Yield the rows that ON DELETE affects when a row is removed, each with its values afterwards, or None if
    deleted.
    """
    for foreign, child, identity in referring(view, table, gone):
        before = view.get(child, identity)
        action = (foreign.ondelete or "").upper()
        if before is None or action in {"", "NO ACTION", "RESTRICT"}:
            continue
        if action == "CASCADE":
            yield child, identity, before, None
        elif action == "SET NULL":
            yield child, identity, before, {**before, **dict.fromkeys(foreign.columns.keys())}
        else:
            raise NotFaked(f"ON DELETE {action}")


def referring(view: View, table: Table, values: Values) -> Iterator[tuple[ForeignKeyConstraint, Table, Identity]]:
    """Yield the rows that refer to this one."""
    for child in view.store.tables:
        for foreign in sorted(child.foreign_key_constraints, key=lambda one: str(one.name)):
            if foreign.referred_table is not table:
                continue
            wanted = tuple(values[element.column.key] for element in foreign.elements)
            for identity, row in view.rows(child).items():
                if tuple(row[key] for key in foreign.columns.keys()) == wanted:  # noqa: SIM118 - no dict
                    yield foreign, child, identity


def _refers_to_a_row(view: View, foreign: ForeignKeyConstraint, values: Values) -> bool:
    target = foreign.referred_table
    key = tuple(values[name] for name in foreign.columns.keys())  # noqa: SIM118
    if target not in view.store.tables or None in key:
        return True
    names = [element.column.key for element in foreign.elements]
    if names == [column.key for column in target.primary_key.columns]:
        return view.get(target, key) is not None
    return any(tuple(row[name] for name in names) == key for row in view.rows(target).values())


def _violation(foreign: ForeignKeyConstraint, columns: Iterable[str]) -> ForeignKeyViolation:
    name = None if foreign.name is None else str(foreign.name)
    return ForeignKeyViolation(constraint=name, columns=tuple(columns), sqlstate=FOREIGN_KEY)
